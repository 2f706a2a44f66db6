// States of a zone, their names and the transitions between them. For every floor above zone.
//
// The numbers are written to disk and sent to peers: append only, 0 is never valid.
#pragma once

#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace kz::zone {

enum class State {
    configured = 1,  // a configuration, nothing else
    incomplete,      // an install or uninstall is under way, or was broken off
    unavailable,     // installed, but its storage, key or ownership is wrong
    installed,
    ready,  // the machine exists, nothing runs in it
    running,
    shutting_down,
};

// What is known of a zone besides its state.
enum class Aux {
    suspended = 1,  // installed: the next boot resumes
    debugging,      // running: the guest sits in its kernel debugger
    panicked,       // running: the guest crashed
    migrating_out,  // running: being sent to another host
    migrating_in,   // running: being received, not runnable yet
    no_config,      // incomplete: known, but its configuration file is missing
    post_copy,      // running: some of its memory is still on the host it came from
    paused,         // the same, and that host cannot be reached: it stands still where it needs that memory
};

// As printed: "shutting_down", "migrating-in".
std::string_view state_name(State state);
std::string_view aux_name(Aux aux);
std::optional<State> parse_state(std::string_view name);
std::optional<Aux> parse_aux(std::string_view name);

// May a zone go from one state directly to the other? A state to itself is no transition: false.
bool transition_allowed(State from, State to);

// True from unavailable upwards: the zone has (or had) disks of its own, so that its configuration may not be
// deleted, overwritten or renamed.
bool has_installation(State state);

// Auxiliary states in the order of the enum.
class AuxSet {
  public:
    AuxSet() = default;
    AuxSet(std::initializer_list<Aux> items) : items_(items) {}

    void insert(Aux aux) { items_.insert(aux); }
    void erase(Aux aux) { items_.erase(aux); }
    void clear() { items_.clear(); }
    bool contains(Aux aux) const { return items_.contains(aux); }
    bool empty() const { return items_.empty(); }
    std::size_t size() const { return items_.size(); }
    auto begin() const { return items_.begin(); }
    auto end() const { return items_.end(); }

    // "suspended,no-config"; empty when there is none.
    std::string text() const;
    // The reverse of text(); nothing when a name is unknown.
    static std::optional<AuxSet> parse(std::string_view text);

    bool operator==(const AuxSet&) const = default;

  private:
    std::set<Aux> items_;
};

}  // namespace kz::zone

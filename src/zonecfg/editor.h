// Editor: a configuration being changed by the editing commands (add, cancel, clear, end, remove, select,
// set), with its scopes. Asks nobody and touches no files: Session adds the dialogue, parse_export reads
// files with it.
//
// Errors are Errc::invalid_argument or Errc::not_found, worded as zonecfg prints them, and leave everything
// as it was. A wrong number of arguments is Errc::protocol: the caller prints the command's usage.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "zone/config.h"
#include "zonecfg/command.h"

namespace kz::zonecfg {

using Arguments = std::vector<Argument>;

class Editor {
  public:
    explicit Editor(zone::Config config = zone::Config{}) : config_(std::move(config)) {}

    // What is kept so far: a resource counts once it is ended.
    const zone::Config& config() const { return config_; }
    // Starts over with another configuration.
    void reset(zone::Config config);

    bool in_resource() const { return !frames_.empty(); }
    // The innermost resource; only in one.
    const zone::Resource& resource() const { return frames_.back().resource; }
    // Drops what is open.
    void abandon() { frames_.clear(); }

    Result<void> add(const Arguments& arguments);
    Result<void> select(const Arguments& arguments);
    Result<void> set(const Arguments& arguments);
    Result<void> clear(const Arguments& arguments);
    Result<void> remove(const Arguments& arguments);
    Result<void> end();
    Result<void> cancel();

    // The places, in the current scope, of the resources that `TYPE [N | name=value...]` names; never empty.
    Result<std::vector<std::size_t>> matches(const Arguments& arguments) const;
    // Removes the resources at these places of the current scope.
    void remove_at(const std::string& type, const std::vector<std::size_t>& places);

  private:
    // A resource that is being edited; `place` within its type when it was there before.
    struct Frame {
        zone::Resource resource;
        std::optional<std::size_t> place;
    };

    // The resources of the current scope.
    const std::vector<zone::Resource>& siblings() const;
    Result<const zone::ResourceSpec*> type_here(std::string_view type) const;
    Result<void> begin_resource(const zone::ResourceSpec& spec);
    unsigned next_id(std::string_view type) const;
    Result<void> change_item(const Arguments& arguments, bool add);

    zone::Config config_;
    std::vector<Frame> frames_;
    // Ids of resources removed since the last reset. They are not given out again by themselves: a disk that
    // takes the place of another should not appear in the guest under the old one's name.
    std::map<std::string, std::set<unsigned>, std::less<>> retired_;
};

}  // namespace kz::zonecfg

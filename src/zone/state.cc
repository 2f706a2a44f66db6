#include "zone/state.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/text.h"

namespace kz::zone {

namespace {

template <typename Enum>
using Name = std::pair<Enum, std::string_view>;

constexpr std::array kStateNames{
    Name<State>{State::configured, "configured"},
    Name<State>{State::incomplete, "incomplete"},
    Name<State>{State::unavailable, "unavailable"},
    Name<State>{State::installed, "installed"},
    Name<State>{State::ready, "ready"},
    Name<State>{State::running, "running"},
    Name<State>{State::shutting_down, "shutting_down"},
};

constexpr std::array kAuxNames{
    Name<Aux>{Aux::suspended, "suspended"},
    Name<Aux>{Aux::debugging, "debugging"},
    Name<Aux>{Aux::panicked, "panicked"},
    Name<Aux>{Aux::migrating_out, "migrating-out"},
    Name<Aux>{Aux::migrating_in, "migrating-in"},
    Name<Aux>{Aux::post_copy, "post-copy"},
    Name<Aux>{Aux::paused, "paused"},
    Name<Aux>{Aux::no_config, "no-config"},
};

template <typename Table, typename Enum>
std::string_view name_in(const Table& table, Enum value) {
    for (const auto& [item, name] : table)
        if (item == value) return name;
    return "unknown";
}

template <typename Enum, typename Table>
std::optional<Enum> find_in(const Table& table, std::string_view name) {
    for (const auto& [item, item_name] : table)
        if (item_name == name) return item;
    return std::nullopt;
}

struct Transition {
    State from;
    State to;
};

constexpr std::array kTransitions{
    Transition{State::configured, State::incomplete},    // install begins
    Transition{State::configured, State::installed},     // attach
    Transition{State::configured, State::unavailable},   // another host owns the disk
    Transition{State::incomplete, State::configured},    // uninstall is done
    Transition{State::incomplete, State::installed},     // install is done
    Transition{State::unavailable, State::installed},    // attach
    Transition{State::unavailable, State::configured},   // detach
    Transition{State::unavailable, State::incomplete},   // uninstall begins, or marked
    Transition{State::installed, State::configured},     // detach
    Transition{State::installed, State::incomplete},     // uninstall begins, or marked
    Transition{State::installed, State::unavailable},    // storage, key or ownership is wrong, or marked
    Transition{State::installed, State::ready},          // ready
    Transition{State::installed, State::running},        // boot, resume, migrating-in
    Transition{State::ready, State::running},            // boot
    Transition{State::ready, State::installed},          // halt
    Transition{State::ready, State::unavailable},        // the disk was lost
    Transition{State::running, State::ready},            // reboot, first half
    Transition{State::running, State::shutting_down},    // shutdown
    Transition{State::running, State::installed},        // halt, suspend, the machine died
    Transition{State::running, State::configured},       // moved to another host
    Transition{State::running, State::unavailable},      // the disk was lost
    Transition{State::shutting_down, State::ready},      // shutdown -r, first half
    Transition{State::shutting_down, State::running},    // shutdown -r, or the guest did not obey
    Transition{State::shutting_down, State::installed},  // the guest is down
    Transition{State::shutting_down, State::unavailable},
};

}  // namespace

std::string_view state_name(State state) {
    return name_in(kStateNames, state);
}

std::string_view aux_name(Aux aux) {
    return name_in(kAuxNames, aux);
}

std::optional<State> parse_state(std::string_view name) {
    return find_in<State>(kStateNames, name);
}

std::optional<Aux> parse_aux(std::string_view name) {
    return find_in<Aux>(kAuxNames, name);
}

bool transition_allowed(State from, State to) {
    return std::ranges::any_of(kTransitions,
                               [&](const Transition& t) { return t.from == from && t.to == to; });
}

bool has_installation(State state) {
    return state != State::configured && state != State::incomplete;
}

std::string AuxSet::text() const {
    std::vector<std::string> names;
    names.reserve(items_.size());
    for (const Aux aux : items_)
        names.emplace_back(aux_name(aux));
    return join(names, ",");
}

std::optional<AuxSet> AuxSet::parse(std::string_view text) {
    AuxSet set;
    if (text.empty()) return set;
    for (const std::string& name : split(text, ',')) {
        const auto aux = parse_aux(name);
        if (!aux) return std::nullopt;
        set.insert(*aux);
    }
    return set;
}

}  // namespace kz::zone

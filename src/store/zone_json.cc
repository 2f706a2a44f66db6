#include "store/zone_json.h"

namespace kz::store {

Json describe_zone(const ZoneStatus& status) {
    Json auxiliary = Json::array();
    for (const zone::Aux each : status.aux)
        auxiliary.push_back(zone::aux_name(each));
    Json zone{{"name", status.name},
              {"uuid", status.uuid},
              {"brand", status.brand},
              {"state", zone::state_name(status.state)},
              {"auxiliary", std::move(auxiliary)}};
    if (status.id) zone["id"] = *status.id;
    if (!status.reason.empty()) zone["reason"] = status.reason;
    if (status.guest) zone["guest"] = to_json(*status.guest);
    return zone;
}

}  // namespace kz::store

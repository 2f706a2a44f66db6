#include "zone/property.h"

namespace kz::zone {

Result<std::string> check_value(const PropertySpec& spec, std::string_view text) {
    Checked checked = spec.check(spec, text);
    if (!checked) return invalid_value(spec, checked.error().offending);
    return *std::move(checked);
}

std::unexpected<Error> invalid_value(const PropertySpec& spec, std::string_view offending) {
    return fail(Errc::invalid_argument, "{}: {}\n{} must be {}.", offending.empty() ? spec.name : offending,
                kInvalidArgument, spec.name, spec.hint);
}

std::unexpected<Error> no_such_property(std::string_view name) {
    return fail(Errc::invalid_argument, "{}: {}", name, kNoSuchPropertyType);
}

}  // namespace kz::zone

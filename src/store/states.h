// The fields that state.json and runtime.json share. Internal to store.
#pragma once

#include "base/json.h"
#include "zone/state.h"

namespace kz::store {

// Errors: Errc::corrupt.
Result<zone::State> json_state(const Json& object);
Result<zone::AuxSet> json_aux(const Json& object);
// "format": Errc::unsupported when higher than `known`, Errc::corrupt when missing.
Result<void> check_format(const Json& object, std::uint64_t known);

}  // namespace kz::store

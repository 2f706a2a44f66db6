// A check of JSON values against the part of JSON Schema that docs/openapi.yaml uses; and that file as JSON.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace kz::rad {

// The YAML file as JSON: plain scalars that look like numbers, booleans or null are such, quoted ones texts.
Json load_yaml(const std::string& file);

// What `reference` ("#/components/...") stands for in `document`; `value` itself when it has no $ref.
const Json& resolve(const Json& document, const Json& value);

// What is wrong with `value`, one line each ("/zones/0/state: ..."); none when it fits. A keyword that is not
// known here is a complaint too: a schema must not promise what nobody checks.
std::vector<std::string> schema_faults(const Json& document, const Json& schema, const Json& value,
                                       const std::string& at = "");

}  // namespace kz::rad

// Checks of single values, the cells of the schema's table. For zone only.
//
// Each returns the value in its canonical form or the text that offends; spec.hint says what is expected.
#pragma once

#include "zone/schema.h"

namespace kz::zone {

// Words and flags.
Checked check_text(const PropertySpec& spec, std::string_view value);     // anything printable
Checked check_word(const PropertySpec& spec, std::string_view value);     // [A-Za-z0-9_.:@+-]+
Checked check_choice(const PropertySpec& spec, std::string_view value);   // one of spec.choices
Checked check_choices(const PropertySpec& spec, std::string_view value);  // comma list of spec.choices
Checked check_brand(const PropertySpec& spec, std::string_view value);
Checked check_zone_name(const PropertySpec& spec, std::string_view value);
Checked check_complex(const PropertySpec& spec,
                      std::string_view value);  // resource control (priv=,limit=,action=)

// Numbers.
Checked check_id(const PropertySpec& spec, std::string_view value);          // 0-9999
Checked check_count(const PropertySpec& spec, std::string_view value);       // 1-1048576
Checked check_vcpus(const PropertySpec& spec, std::string_view value);       // 1-1024
Checked check_cpu_range(const PropertySpec& spec, std::string_view value);   // 4 or 2-4
Checked check_cpu_amount(const PropertySpec& spec, std::string_view value);  // 0.01-1024.00
Checked check_cpu_set(const PropertySpec& spec, std::string_view value);     // 0-3,8
Checked check_vlan(const PropertySpec& spec, std::string_view value);        // 0-4094
Checked check_mtu(const PropertySpec& spec, std::string_view value);         // 68-65535
Checked check_percent(const PropertySpec& spec, std::string_view value);     // 1-100
Checked check_memory(const PropertySpec& spec, std::string_view value);      // multiple of 2M, at least 32M
Checked check_size(const PropertySpec& spec, std::string_view value);
Checked check_bandwidth(const PropertySpec& spec, std::string_view value);  // bits per second with K, M, G
Checked check_hostid(const PropertySpec& spec, std::string_view value);     // 0-fffffffe
Checked check_key(const PropertySpec& spec, std::string_view value);        // 16 to 64 octets in hexadecimal

// Places and addresses.
Checked check_path(const PropertySpec& spec, std::string_view value);    // absolute, without ".."
Checked check_device(const PropertySpec& spec, std::string_view value);  // below /dev
Checked check_suri(const PropertySpec& spec, std::string_view value);    // the scheme; the rest is storage's
Checked check_template(const PropertySpec& spec, std::string_view value);  // a SURI with known patterns
Checked check_link(const PropertySpec& spec, std::string_view value);      // auto or the name of an interface
Checked check_mac(const PropertySpec& spec, std::string_view value);       // auto or an unicast address
Checked check_mac_prefix(const PropertySpec& spec, std::string_view value);
Checked check_addresses(const PropertySpec& spec,
                        std::string_view value);                          // comma list, with or without /bits
Checked check_routers(const PropertySpec& spec, std::string_view value);  // comma list of addresses

}  // namespace kz::zone

// Small files of the guest, read whole. For kz-agent's own files.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace kzagent {

// Empty when it cannot be read; at most `limit` bytes.
std::string read_text(const std::string& path, std::size_t limit);
void write_text(const std::string& path, const std::string& text);
bool exists(const std::string& path);
// The first of them that exists and may be executed; empty: none.
std::string first_program(const std::vector<std::string>& candidates);
std::vector<std::string> split(const std::string& text, char separator);

}  // namespace kzagent

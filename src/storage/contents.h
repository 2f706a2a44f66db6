// What a volume holds, in words: for the question before something is overwritten.
//
// Theory of operation
//
// The first and the last 4 MiB are read and put into a sparse temporary file of the volume's size, which
// libblkid examines: known formats have their labels there. The contents may have been made to harm who looks
// at them, so libblkid runs in a process of its own, without rights where we have them to drop, with a time
// limit; all that comes back is a text of bounded length, printable ASCII.
#pragma once

#include <string>

#include "storage/volume.h"

namespace kz::storage {

// "ext4 file system 'root' (uuid 69ed...)", "a gpt partition table with 2 partitions (...)", "LVM physical
// volume ...", "data of no known format"; several findings are joined with ", ". Empty: the places looked at
// are all zero. Errors: those of reading; Errc::timeout and Errc::internal when the examination did not end.
Result<std::string> describe_contents(Volume& volume);

}  // namespace kz::storage

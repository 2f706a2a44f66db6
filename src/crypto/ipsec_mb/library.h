// IpsecMb: the intel-ipsec-mb of this machine, if it can be used. Private to src/crypto.
//
// The library wants one manager for each thread. Making one runs its self-tests, which take milliseconds; so
// one is made for the whole process and the others are copies of it.
#pragma once

#include <intel-ipsec-mb.h>

#include <memory>

#include "base/bytes.h"

namespace kz::crypto {

// One thread at a time. Wiped when dropped: finished jobs leave keys and data in it.
class IpsecMbManager {
  public:
    IMB_MGR* get() const { return manager_; }

  private:
    friend class IpsecMb;
    struct WipeAndFree {
        void operator()(Byte* memory) const;
    };
    using Memory = std::unique_ptr<Byte, WipeAndFree>;
    IpsecMbManager(Memory memory, IMB_MGR* manager) : memory_(std::move(memory)), manager_(manager) {}

    Memory memory_;
    IMB_MGR* manager_;
};

class IpsecMb {
  public:
    // Nothing when this processor has no AES instructions, or when the library fails its own tests or ours.
    // May be called by any thread; what it returns lives as long as the process.
    static const IpsecMb* instance();

    // Errc::internal when there is no memory.
    Result<IpsecMbManager> make_manager() const;

    struct GcmFunctions {
        aes_gcm_pre_t expand_key;
        aes_gcm_enc_dec_t encrypt;
        aes_gcm_enc_dec_t decrypt;
    };
    const GcmFunctions& gcm_128() const { return gcm_128_; }
    const GcmFunctions& gcm_256() const { return gcm_256_; }

  private:
    explicit IpsecMb(IpsecMbManager pristine);
    static std::unique_ptr<const IpsecMb> probe();
    static IpsecMbManager::Memory allocate();

    IpsecMbManager pristine_;  // never used, only copied
    GcmFunctions gcm_128_;
    GcmFunctions gcm_256_;
};

}  // namespace kz::crypto

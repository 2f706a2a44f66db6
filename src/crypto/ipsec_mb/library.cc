#include "crypto/ipsec_mb/library.h"

#include <string.h>

#include <cstdlib>

#include "crypto/ipsec_mb/self_test.h"

namespace kz::crypto {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::uint64_t kNeeded = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;

std::size_t manager_size() {
    return (imb_get_mb_mgr_size() + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

void IpsecMbManager::WipeAndFree::operator()(Byte* memory) const {
    explicit_bzero(memory, manager_size());
    std::free(memory);
}

IpsecMbManager::Memory IpsecMb::allocate() {
    return IpsecMbManager::Memory(static_cast<Byte*>(std::aligned_alloc(kAlignment, manager_size())));
}

IpsecMb::IpsecMb(IpsecMbManager pristine) : pristine_(std::move(pristine)) {
    const IMB_MGR& manager = *pristine_.get();
    gcm_128_ = {manager.gcm128_pre, manager.gcm128_enc, manager.gcm128_dec};
    gcm_256_ = {manager.gcm256_pre, manager.gcm256_enc, manager.gcm256_dec};
}

Result<IpsecMbManager> IpsecMb::make_manager() const {
    IpsecMbManager::Memory memory = allocate();
    if (memory == nullptr) return fail(Errc::internal, "no memory for ciphers");
    std::memcpy(memory.get(), pristine_.get(), manager_size());
    // Without a reset this only turns the pointers into the manager's own memory to the copy.
    IMB_MGR* manager = imb_set_pointers_mb_mgr(memory.get(), 0, 0);
    if (manager == nullptr) return fail(Errc::internal, "the cipher library cannot be set up");
    return IpsecMbManager(std::move(memory), manager);
}

std::unique_ptr<const IpsecMb> IpsecMb::probe() {
    IpsecMbManager::Memory memory = allocate();
    if (memory == nullptr) return nullptr;
    std::memset(memory.get(), 0, manager_size());
    IMB_MGR* manager = imb_set_pointers_mb_mgr(memory.get(), 0, 1);
    if (manager == nullptr || (manager->features & kNeeded) != kNeeded) return nullptr;
    IMB_ARCH chosen{};
    init_mb_mgr_auto(manager, &chosen);
    if (imb_get_errno(manager) != 0) return nullptr;
    std::unique_ptr<const IpsecMb> made(new IpsecMb(IpsecMbManager(std::move(memory), manager)));
    return ipsec_mb_works(*made) ? std::move(made) : nullptr;
}

const IpsecMb* IpsecMb::instance() {
    // Never destroyed: threads may still seal while the process ends.
    static const IpsecMb* const probed = probe().release();
    return probed;
}

}  // namespace kz::crypto

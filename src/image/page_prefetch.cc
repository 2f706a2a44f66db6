#include "image/page_prefetch.h"

namespace kz::image {
namespace {

// Groups that wait to be taken: enough that nobody waits for another, little enough to be cheap.
constexpr std::size_t kAhead = 16;

}  // namespace

PagePrefetch::PagePrefetch(const PageReader& reader, std::vector<std::size_t> order, EventFd ready)
    : reader_(reader), order_(std::move(order)), ready_event_(std::move(ready)), skipped_(reader.groups()) {}

Result<std::unique_ptr<PagePrefetch>> PagePrefetch::create(const PageReader& reader,
                                                           std::vector<std::size_t> order, unsigned threads) {
    KZ_TRY(EventFd ready, EventFd::create());
    std::unique_ptr<PagePrefetch> prefetch(new PagePrefetch(reader, std::move(order), std::move(ready)));
    if (prefetch->order_.empty()) prefetch->ready_event_.signal();
    for (unsigned i = 0; i < threads; ++i) {
        prefetch->threads_.emplace_back(
            [self = prefetch.get()](const std::stop_token& stop) { self->work(stop); });
    }
    return prefetch;
}

PagePrefetch::~PagePrefetch() {
    for (std::jthread& thread : threads_)
        thread.request_stop();
}

void PagePrefetch::work(const std::stop_token& stop) {
    PageReader::Source source = reader_.source();
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, stop,
                      [this] { return next_ == order_.size() || ready_.size() + in_work_ < kAhead; });
        if (stop.stop_requested() || next_ == order_.size()) return;
        const std::size_t group = order_[next_++];
        if (!skipped_[group]) {
            ++in_work_;
            lock.unlock();
            Result<Bytes> bytes = source.read(group);
            lock.lock();
            --in_work_;
            ready_.push_back({group, std::move(bytes)});
            ready_event_.signal();
        } else if (next_ == order_.size()) {
            ready_event_.signal();
        }
        if (next_ == order_.size()) changed_.notify_all();
    }
}

std::optional<PagePrefetch::Group> PagePrefetch::take() {
    const std::lock_guard lock(mutex_);
    const bool more = next_ != order_.size() || in_work_ != 0;
    if (ready_.empty()) {
        if (more) ready_event_.reset();
        return std::nullopt;
    }
    Group group = std::move(ready_.front());
    ready_.pop_front();
    changed_.notify_all();
    if (ready_.empty() && more) ready_event_.reset();
    return group;
}

bool PagePrefetch::drained() {
    const std::lock_guard lock(mutex_);
    return ready_.empty() && in_work_ == 0 && next_ == order_.size();
}

void PagePrefetch::skip(std::size_t group) {
    const std::lock_guard lock(mutex_);
    skipped_[group] = true;
}

}  // namespace kz::image

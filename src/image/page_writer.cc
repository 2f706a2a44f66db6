#include "image/page_writer.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <limits>
#include <mutex>
#include <thread>

namespace kz::image {
namespace {

// Groups that wait for a thread; more would only take memory.
constexpr std::size_t kQueue = 4;

}  // namespace

// One thread with its channel.
class PageWriter::Lane {
  public:
    Lane(std::uint32_t number, std::unique_ptr<ImageChannelWriter> channel)
        : number_(number),
          channel_(std::move(channel)),
          thread_([this](const std::stop_token& stop) { work(stop); }) {}

    std::uint32_t number() const { return number_; }
    // Pages that were handed to it; the number of its next.
    std::uint64_t pages() const { return pages_; }

    std::size_t waiting() {
        const std::lock_guard lock(mutex_);
        return queue_.size();
    }

    Bytes empty_group() {
        const std::lock_guard lock(mutex_);
        Bytes group;
        if (!spare_.empty()) {
            group = std::move(spare_.back());
            spare_.pop_back();
        }
        group.clear();
        group.reserve(kGroupSize);
        return group;
    }

    Result<void> hand_over(Bytes group) {
        pages_ += group.size() / kPageSize;
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return queue_.size() < kQueue || failure_; });
        if (failure_) return std::unexpected(*failure_);
        queue_.push_back(std::move(group));
        changed_.notify_all();
        return {};
    }

    Result<void> finish() {
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
            changed_.notify_all();
        }
        thread_.join();
        if (failure_) return std::unexpected(*failure_);
        KZ_CHECK(channel_->finish());
        return {};
    }

  private:
    void work(const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (true) {
            changed_.wait(lock, stop, [this] { return !queue_.empty() || ended_; });
            if (stop.stop_requested() || queue_.empty()) return;
            Bytes group = std::move(queue_.front());
            queue_.pop_front();
            lock.unlock();
            const Result<void> written = channel_->append(group);
            lock.lock();
            if (!written) failure_ = written.error();
            spare_.push_back(std::move(group));
            changed_.notify_all();
            if (failure_) return;
        }
    }

    const std::uint32_t number_;
    std::unique_ptr<ImageChannelWriter> channel_;
    std::uint64_t pages_ = 0;  // by the thread that gives pages
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::deque<Bytes> queue_;
    std::vector<Bytes> spare_;
    bool ended_ = false;
    std::optional<Error> failure_;
    std::jthread thread_;
};

PageWriter::PageWriter(ImageWriter& writer, PageTable table) : writer_(writer), table_(std::move(table)) {}
PageWriter::~PageWriter() = default;

Result<std::unique_ptr<PageWriter>> PageWriter::create(ImageWriter& writer, std::vector<PageBlock> blocks) {
    const ImageInfo& info = writer.info();
    if (info.layout != Layout::pages || info.channel_count < 2)
        return fail(Errc::invalid_argument, "pages for an image of another layout");
    KZ_TRY(PageTable table, PageTable::create(std::move(blocks)));
    std::unique_ptr<PageWriter> pages(new PageWriter(writer, std::move(table)));
    for (std::uint32_t number = 1; number < info.channel_count; ++number) {
        KZ_TRY(std::unique_ptr<ImageChannelWriter> channel, writer.channel(number));
        pages->lanes_.push_back(std::make_unique<Lane>(number, std::move(channel)));
    }
    return pages;
}

Result<void> PageWriter::check(std::uint32_t block, std::uint64_t page) const {
    if (block >= table_.blocks().size() || page >= table_.blocks()[block].pages())
        return fail(Errc::invalid_argument, "page {} of block {} does not exist", page, block);
    return {};
}

Result<void> PageWriter::put(std::uint32_t block, std::uint64_t page, ByteView bytes) {
    KZ_CHECK(check(block, page));
    if (bytes.size() != kPageSize) return fail(Errc::invalid_argument, "a page of {} bytes", bytes.size());
    if (lane_ == nullptr) {
        lane_ = std::ranges::min_element(lanes_, {}, [](const auto& lane) { return lane->waiting(); })->get();
        group_ = lane_->empty_group();
    }
    const std::uint64_t number = lane_->pages() + group_.size() / kPageSize;
    if (number > std::numeric_limits<std::uint32_t>::max())
        return fail(Errc::unsupported, "more pages than an image can hold");
    group_.insert(group_.end(), bytes.begin(), bytes.end());
    table_.put(block, page, {lane_->number(), static_cast<std::uint32_t>(number)});
    ++pages_written_;
    return group_.size() == kGroupSize ? flush() : Result<void>();
}

Result<void> PageWriter::put_zeros(std::uint32_t block, std::uint64_t page) {
    KZ_CHECK(check(block, page));
    table_.put(block, page, {});
    return {};
}

Result<void> PageWriter::flush() {
    if (lane_ == nullptr) return {};
    Lane& lane = *std::exchange(lane_, nullptr);
    return lane.hand_over(std::move(group_));
}

Result<void> PageWriter::finish(std::vector<Bytes> parts) {
    KZ_CHECK(flush());
    for (const std::unique_ptr<Lane>& lane : lanes_)
        KZ_CHECK(lane->finish());
    KZ_TRY(const std::unique_ptr<ImageChannelWriter> index, writer_.channel(0));
    KZ_CHECK(index->append(encode_page_index({std::move(parts), std::move(table_)})));
    KZ_CHECK(index->finish());
    return {};
}

}  // namespace kz::image

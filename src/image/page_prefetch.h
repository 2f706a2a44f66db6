// PagePrefetch: opens the groups of an image ahead of whoever wants them, on threads of its own. For
// src/monitor.
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <mutex>
#include <thread>

#include "image/page_reader.h"
#include "os/io.h"

namespace kz::image {

// One thread takes; the groups come roughly in the order given.
class PagePrefetch {
  public:
    // The reader must outlive it.
    static Result<std::unique_ptr<PagePrefetch>> create(const PageReader& reader,
                                                        std::vector<std::size_t> order, unsigned threads);
    ~PagePrefetch();

    struct Group {
        std::size_t number = 0;
        Result<Bytes> bytes;  // as of PageReader::Source::read()
    };
    // The next group; nothing when none is there now.
    std::optional<Group> take();
    // Readable when take() gives a group, or never will again.
    int fd() const { return ready_event_.fd(); }
    // All groups were taken or skipped.
    bool drained();
    // The group is not wanted any more. It may still come, when it was being opened.
    void skip(std::size_t group);

  private:
    PagePrefetch(const PageReader& reader, std::vector<std::size_t> order, EventFd ready);
    void work(const std::stop_token& stop);

    const PageReader& reader_;
    const std::vector<std::size_t> order_;
    EventFd ready_event_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::size_t next_ = 0;  // in order_
    std::size_t in_work_ = 0;
    std::deque<Group> ready_;
    std::vector<bool> skipped_;
    std::list<std::jthread> threads_;
};

}  // namespace kz::image

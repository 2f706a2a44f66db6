// PageWriter: writes memory by page into a suspend image, sealing in parallel. For src/monitor.
//
// One thread gives pages in any order, some of them more than once: the last one counts. They are gathered in
// groups, and each group is sealed and written by one of several threads, each of which has a channel of its
// own. Whoever gives pages faster than they can be written has to wait.
#pragma once

#include <memory>

#include "image/page_table.h"
#include "image/writer.h"

namespace kz::image {

class PageWriter {
  public:
    // An image of layout `pages` takes the pages in all its channels but the first. The image writer must
    // outlive this one.
    static Result<std::unique_ptr<PageWriter>> create(ImageWriter& writer, std::vector<PageBlock> blocks);
    // Ends the threads; what was not finished is of no use.
    ~PageWriter();
    PageWriter(const PageWriter&) = delete;
    PageWriter& operator=(const PageWriter&) = delete;

    // `page` is the number in the block, both of which must exist (else Errc::invalid_argument); bytes:
    // kPageSize. Errors: those of the image writer, also of pages that were given before.
    Result<void> put(std::uint32_t block, std::uint64_t page, ByteView bytes);
    // The page is all zeros, which takes no room.
    Result<void> put_zeros(std::uint32_t block, std::uint64_t page);

    // Waits until all is written; then the table and the opaque parts. The image writer can finish after it.
    Result<void> finish(std::vector<Bytes> parts);

    // So far: pages that took room, counting each as often as it came.
    std::uint64_t pages_written() const { return pages_written_; }

  private:
    class Lane;
    PageWriter(ImageWriter& writer, PageTable table);
    Result<void> check(std::uint32_t block, std::uint64_t page) const;
    Result<void> flush();

    ImageWriter& writer_;
    PageTable table_;
    std::vector<std::unique_ptr<Lane>> lanes_;
    Bytes group_;           // being gathered
    Lane* lane_ = nullptr;  // for it
    std::uint64_t pages_written_ = 0;
};

}  // namespace kz::image

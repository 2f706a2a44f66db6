// Channels whose sealed records are on a descriptor (a TCP connection). Private to src/stream: pump_seal and
// pump_open make them.
#pragma once

#include "stream/fd_io.h"

namespace kz::stream {

class FdChannelWriter final : public ChannelWriter {
  public:
    FdChannelWriter(RecordSealer& sealer, FdOutput output) : sealer_(sealer), output_(output) {}
    MutableBytes space() override { return sealer_.space(); }
    Result<std::size_t> commit(std::size_t size) override;
    Result<std::size_t> finish() override { return send(sealer_.seal_final()); }

  private:
    Result<std::size_t> send(Result<ByteView> record);
    RecordSealer& sealer_;
    FdOutput output_;
};

class FdChannelReader final : public ChannelReader {
  public:
    FdChannelReader(RecordOpener& opener, FdInput input) : opener_(opener), input_(input) {}
    Result<Chunk> next() override;

  private:
    RecordOpener& opener_;
    FdInput input_;
};

}  // namespace kz::stream

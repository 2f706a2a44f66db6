#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <future>

#include "image/format.h"
#include "image_fixture.h"
#include "os/io.h"
#include "os/socket.h"

namespace kz::image {
namespace {

using namespace std::chrono_literals;

TEST(Image, RoundTripOfChannelsWrittenAndReadInParallel) {
    const TemporaryFolder folder;
    const std::vector<Bytes> channels = {content(1'000, 0), content(3'000'001, 1), content(2'000'000, 2), {}};
    for (const crypto::Cipher cipher : crypto::all_ciphers().first(crypto::all_ciphers().size() - 1)) {
        ImageWriter writer = ImageWriter::create(folder / "image", ant1(4), key_of_ant1(), cipher).value();
        std::vector<std::future<void>> writing;
        for (std::uint32_t number = 0; number < channels.size(); ++number)
            writing.push_back(std::async(std::launch::async, [&, number] {
                auto [guest, pump] = unix_socket_pair().value();
                auto feeding = std::async(std::launch::async, [&channels, number, fd = std::move(guest)] {
                    EXPECT_TRUE(write_all(fd.get(), channels[number], Deadline::after(30s)).has_value());
                    ::shutdown(fd.get(), SHUT_WR);
                });
                stream::PumpCounters counters;
                const auto channel = writer.channel(number).value();
                const auto totals = stream::pump_in(pump.get(), *channel, {}, counters);
                ASSERT_TRUE(totals.has_value()) << totals.error().message();
                EXPECT_EQ(totals->plain_bytes, channels[number].size());
                feeding.get();
            }));
        for (auto& thread : writing)
            thread.get();
        const ImageTotals totals = writer.finish().value();
        EXPECT_EQ(totals.plain_bytes, 5'001'001U);
        EXPECT_EQ(totals.file_bytes, std::filesystem::file_size(folder / "image"));

        const ImageReader reader = ImageReader::open(folder / "image", key_of_ant1()).value();
        EXPECT_EQ(reader.info().image_id, writer.info().image_id);
        EXPECT_EQ(reader.info().cipher, cipher);
        EXPECT_EQ(reader.totals().records, totals.records);
        std::vector<std::future<void>> reading;
        for (std::uint32_t number = 0; number < channels.size(); ++number)
            reading.push_back(std::async(std::launch::async, [&, number] {
                auto [pump, guest] = unix_socket_pair().value();
                auto replaying = std::async(std::launch::async, [&reader, number, fd = std::move(pump)] {
                    stream::PumpCounters counters;
                    EXPECT_TRUE(reader.replay(number, fd.get(), {}, counters).has_value());
                    ::shutdown(fd.get(), SHUT_WR);
                });
                Bytes got(channels[number].size()), more(1);
                EXPECT_TRUE(read_exact(guest.get(), got, Deadline::after(30s)).has_value());
                EXPECT_EQ(read_some(guest.get(), more, Deadline::after(30s)).value(), 0U);
                EXPECT_EQ(got, channels[number]);
                replaying.get();
            }));
        for (auto& thread : reading)
            thread.get();
        EXPECT_EQ(reader.verify_all()->plain_bytes, totals.plain_bytes);
    }
    EXPECT_EQ(folder.entries(), 1U);
}

TEST(Image, RandomAccess) {
    const Bytes plain = content(1'500'000, 1);
    const ImageReader reader = ImageReader::open(medium_of(image_bytes({plain, {}})), key_of_ant1()).value();
    const auto channel = reader.channel(0).value();
    EXPECT_EQ(channel->size(), plain.size());
    for (const std::size_t offset : {0UL, 1UL, 262'143UL, 262'144UL, 700'000UL, plain.size() - 5000}) {
        Bytes page(5000);
        ASSERT_TRUE(channel->read(offset, page).has_value()) << offset;
        EXPECT_TRUE(std::ranges::equal(page, ByteView(plain).subspan(offset, page.size()))) << offset;
    }
    EXPECT_EQ(reader.read(0, 0, plain.size()).value(), plain);
    EXPECT_EQ(reader.read(0, plain.size(), 0)->size(), 0U);
    EXPECT_EQ(reader.read(0, plain.size(), 1).error().code(), Errc::invalid_argument);
    EXPECT_EQ(reader.read(0, UINT64_MAX, 2).error().code(), Errc::invalid_argument);
    EXPECT_EQ(reader.read(0, 0, 65UL << 20).error().code(), Errc::invalid_argument);
    EXPECT_EQ(reader.channel(2).error().code(), Errc::invalid_argument);
    EXPECT_EQ(channel->next()->plain.size(), stream::kMaxPayload) << "independent of read()";
}

TEST(Image, ZerosCostNothing) {
    const Bytes bytes = image_bytes({Bytes(8'000'000, 0)});
    EXPECT_LT(bytes.size(), 30'000U);
}

TEST(Image, EveryImageHasItsOwnSaltIdAndKeys) {
    const Bytes a = image_bytes({content(100, 0)});
    const Bytes b = image_bytes({content(100, 0)});
    EXPECT_FALSE(std::equal(a.begin() + 24, a.begin() + 56, b.begin() + 24)) << "salt";
    EXPECT_FALSE(std::equal(a.begin() + 72, a.begin() + 88, b.begin() + 72)) << "image id";
    EXPECT_FALSE(std::equal(a.begin() + 4112, a.begin() + 4212, b.begin() + 4112)) << "sealed bytes";
}

TEST(Image, AnotherZonesKeyIsSaidToBeThat) {
    const auto opened = ImageReader::open(medium_of(image_bytes({content(100, 0)})), Bytes(32, 0xb2));
    ASSERT_FALSE(opened.has_value());
    EXPECT_EQ(opened.error().code(), Errc::permission);
    EXPECT_EQ(opened.error().message(), "the image is not sealed with this zone's key");
}

TEST(Image, EveryTruncationIsRefused) {
    const Bytes good = image_bytes({content(300, 0), content(40, 1)});
    for (std::size_t size = 0; size < good.size(); size += size > 4000 && size < 4800 ? 1 : 13) {
        const auto opened = ImageReader::open(
            medium_of(Bytes(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size))), key_of_ant1());
        ASSERT_FALSE(opened.has_value()) << size;
        EXPECT_EQ(opened.error().code(), Errc::corrupt) << size;
    }
}

// Nothing but the padding in front of the footer may change without being noticed, and no changed byte is
// delivered.
TEST(Image, AFlippedBitAtEveryByteIsNoticed) {
    const std::vector<Bytes> channels = {content(300, 0), content(40, 1)};
    const Bytes good = image_bytes(channels);
    std::size_t unnoticed = 0;
    for (std::size_t at = 0; at < good.size(); ++at) {
        Bytes bad = good;
        bad[at] ^= static_cast<Byte>(1 << at % 8);
        const auto reader = ImageReader::open(medium_of(std::move(bad)), key_of_ant1());
        if (!reader || !reader->verify_all()) continue;
        ++unnoticed;
        EXPECT_EQ(good[at], 0) << at;
        EXPECT_EQ(read_channel(*reader, 0).value(), channels[0]) << at;
    }
    const std::size_t records = 300 + 40 + 4 * 32;
    EXPECT_LT(unnoticed, good.size() - 2 * kBlock - records);
}

TEST(Image, ADamagedRecordStopsTheReplayThere) {
    Bytes bad = image_bytes({content(600'000, 0)});
    bad[4096 + 300'000] ^= 1;
    const ImageReader reader = ImageReader::open(medium_of(std::move(bad)), key_of_ant1()).value();
    const auto channel = reader.channel(0).value();
    EXPECT_EQ(channel->next()->plain.size(), stream::kMaxPayload);
    EXPECT_EQ(channel->next().error().code(), Errc::corrupt);
    EXPECT_EQ(channel->next().error().code(), Errc::corrupt) << "and stays there";
    EXPECT_EQ(reader.verify_all().error().code(), Errc::corrupt);
}

TEST(Image, RecordsOfAnotherImageOfTheZoneAreRefused) {
    Bytes image = image_bytes({content(300, 0)});
    const Bytes other = image_bytes({content(300, 0)});
    std::copy_n(other.begin() + 4096, 332, image.begin() + 4096);
    const ImageReader reader = ImageReader::open(medium_of(image), key_of_ant1()).value();
    EXPECT_EQ(reader.verify_all().error().code(), Errc::corrupt);
}

TEST(Image, VerifyCanBeCancelled) {
    const ImageReader reader =
        ImageReader::open(medium_of(image_bytes({content(300, 0)})), key_of_ant1()).value();
    const EventFd cancel = EventFd::create().value();
    EXPECT_TRUE(reader.verify_all(cancel.fd()).has_value());
    cancel.signal();
    EXPECT_EQ(reader.verify_all(cancel.fd()).error().code(), Errc::cancelled);
}

TEST(Image, ReadInfoNeedsNoKey) {
    const TemporaryFolder folder;
    ASSERT_TRUE(write_image(create_file_medium(folder / "image").value(), {content(10, 0)}).has_value());
    EXPECT_EQ(read_info(folder / "image")->zone_name, "ant1");
    EXPECT_EQ(read_info(folder / "missing").error().code(), Errc::not_found);
    std::ofstream(folder / "text") << "hello";
    EXPECT_EQ(read_info(folder / "text").error().code(), Errc::corrupt);
    EXPECT_EQ(read_info("/dev/null").error().code(), Errc::invalid_argument);
}

TEST(ImageFile, HasItsNameOnlyWhenWhole) {
    const TemporaryFolder folder;
    {
        ImageWriter writer =
            ImageWriter::create(folder / "image", ant1(1), key_of_ant1(), crypto::kDefaultCipher).value();
        const auto channel = writer.channel(0).value();
        ASSERT_TRUE(channel->append(content(100'000, 0)).has_value());
        EXPECT_FALSE(std::filesystem::exists(folder / "image"));
        EXPECT_EQ(writer.finish().error().code(), Errc::wrong_state) << "the channel has not finished";
        EXPECT_TRUE(std::filesystem::exists(folder / "image.tmp"));
    }
    EXPECT_EQ(folder.entries(), 0U) << "what was not finished disappears";
}

TEST(ImageFile, IsPrivateAndReplacesTheOneBefore) {
    const TemporaryFolder folder;
    std::ofstream(folder / "image.tmp") << std::string(100'000, 'x');
    ASSERT_TRUE(write_image(create_file_medium(folder / "image").value(), {content(10, 0)}).has_value());
    struct stat status{};
    ASSERT_EQ(::stat((folder / "image").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600U);
    const std::string first = ImageReader::open(folder / "image", key_of_ant1())->info().image_id;
    ASSERT_TRUE(write_image(create_file_medium(folder / "image").value(), {content(10, 0)}).has_value());
    EXPECT_NE(ImageReader::open(folder / "image", key_of_ant1())->info().image_id, first);
    EXPECT_EQ(folder.entries(), 1U);
}

TEST(ImageFile, TwoWritersOfOneNameAreRefused) {
    const TemporaryFolder folder;
    const auto first = create_file_medium(folder / "image").value();
    EXPECT_EQ(create_file_medium(folder / "image").error().code(), Errc::busy);
    ASSERT_TRUE(first->publish().has_value());
    EXPECT_TRUE(create_file_medium(folder / "image").has_value());
    EXPECT_EQ(create_file_medium(folder / "no/such/folder").error().code(), Errc::not_found);
}

TEST(ImageFile, WhatACrashLeftIsRemovedAndWhatIsBeingWrittenIsNot) {
    const TemporaryFolder folder;
    {
        const auto writing = create_file_medium(folder / "image").value();
        remove_file_draft(folder / "image");
        EXPECT_EQ(folder.entries(), 1U);
        EXPECT_TRUE(writing->publish().has_value());
    }
    remove_file_draft(folder / "image");
    EXPECT_EQ(folder.entries(), 1U) << "an image that has its name is none of its business";
    std::ofstream(folder / "image.tmp") << "half";
    EXPECT_EQ(folder.entries(), 2U);
    remove_file_draft(folder / "image");
    EXPECT_EQ(folder.entries(), 1U);
}

// A limit on the size of files does what a full disk does, without one.
TEST(ImageFile, AFullDiskIsNoSpaceAndLeavesNothing) {
    const TemporaryFolder folder;
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto old_action = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit small{600'000, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const auto written = write_image(create_file_medium(folder / "image").value(), {content(2'000'000, 0)});
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, old_action);
    ASSERT_FALSE(written.has_value());
    EXPECT_EQ(written.error().code(), Errc::no_space) << written.error().message();
    EXPECT_EQ(folder.entries(), 0U);
}

TEST(ImageWriterRules, ChannelsAreTakenOnce) {
    auto memory = std::make_shared<MemoryBytes>();
    ImageWriter writer = ImageWriter::create(std::make_unique<MemoryMedium>(memory), ant1(1), key_of_ant1(),
                                             crypto::kDefaultCipher)
                             .value();
    const auto channel = writer.channel(0).value();
    EXPECT_EQ(writer.channel(0).error().code(), Errc::wrong_state);
    EXPECT_EQ(writer.channel(1).error().code(), Errc::invalid_argument);
    ASSERT_TRUE(channel->finish().has_value());
    EXPECT_EQ(channel->append(Bytes(1)).error().code(), Errc::wrong_state);
    EXPECT_FALSE(memory->published);
    EXPECT_TRUE(writer.finish().has_value());
    EXPECT_TRUE(memory->published);
}

TEST(ImageWriterRules, WhatCannotBeWrittenIsRefusedFirst) {
    const auto code_of = [](ImageInfo info, const Bytes& key, crypto::Cipher cipher) {
        return ImageWriter::create(medium_of({}), std::move(info), key, cipher).error().code();
    };
    EXPECT_EQ(code_of(ant1(1), key_of_ant1(), crypto::Cipher::none), Errc::invalid_argument);
    EXPECT_EQ(code_of(ant1(0), key_of_ant1(), crypto::kDefaultCipher), Errc::invalid_argument);
    EXPECT_EQ(code_of(ant1(kMaxChannels + 1), key_of_ant1(), crypto::kDefaultCipher), Errc::invalid_argument);
    EXPECT_EQ(code_of(ant1(1), {}, crypto::kDefaultCipher), Errc::invalid_argument);
}

// A device has the size that it has: the footer is at its end, whatever an older image has left there.
TEST(ImageOnDevice, FooterIsAtTheEnd) {
    constexpr std::uint64_t kDevice = 1 << 20;
    auto memory = std::make_shared<MemoryBytes>();
    const auto device = [&] { return std::make_unique<MemoryMedium>(memory, kDevice); };
    ASSERT_TRUE(write_image(device(), {content(200'000, 0)}).has_value());
    EXPECT_EQ(memory->bytes.size(), kDevice);
    EXPECT_EQ(read_channel(ImageReader::open(device(), key_of_ant1()).value(), 0).value(),
              content(200'000, 0));

    ASSERT_FALSE(write_image(device(), {content(2'000'000, 0)}).has_value());
    EXPECT_EQ(write_image(device(), {content(2'000'000, 0)}).error().code(), Errc::no_space);
    EXPECT_EQ(ImageReader::open(device(), key_of_ant1()).error().code(), Errc::corrupt)
        << "a new header and an old footer are no image";
}

}  // namespace
}  // namespace kz::image

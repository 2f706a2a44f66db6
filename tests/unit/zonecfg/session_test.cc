// The dialogue: what each command says, asks and changes.
#include "zonecfg/session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fake_environment.h"

namespace kz::zonecfg {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr std::string_view kSuri = "iscsi://storage1/luname.naa.600144f068d1cd00000053ecd3d20001";

class SessionTest : public testing::Test {
  protected:
    SessionTest() {
        environment.zones.insert_or_assign("SYSdefault", default_template());
        environment.zones.insert_or_assign("SYSsolaris-kz", default_template());
    }

    void have_zone(const std::string& name, zone::State state = zone::State::configured) {
        zone::Config config = default_template();
        config.set_name(name);
        environment.zones.insert_or_assign(name, config);
        environment.states[name] = state;
    }

    int terminal(const std::vector<std::string>& lines) {
        return run_session(environment, Source::terminal, lines);
    }
    int batch(const std::vector<std::string>& lines) {
        return run_session(environment, Source::command_line, lines);
    }

    FakeEnvironment environment;
};

TEST_F(SessionTest, AStorageUriIsCheckedWithItsPatternsExpanded) {
    EXPECT_EQ(terminal({"create -b", "set brand=linux-kz", "add device",
                        "set storage.template=file:///a/%{zonename}-%{id}", "end", "exit"}),
              0)
        << environment.errors;
    EXPECT_THAT(environment.checked_storage, ElementsAre("file:///a/ant1-0"));
}

TEST_F(SessionTest, AMalformedStorageUriLeavesTheOldOne) {
    EXPECT_NE(batch({"create -b; set brand=linux-kz; add device; set storage=file:///good; set "
                     "storage=file:///malformed; info storage"}),
              0);
    EXPECT_THAT(environment.errors,
                HasSubstr("file:///malformed: Invalid argument\nfile:///malformed: position 7: malformed."));
}

TEST_F(SessionTest, FirstTranscript) {
    Session session(environment, {.zone = "ant1", .source = Source::terminal});
    ASSERT_TRUE(session.open());
    EXPECT_EQ(environment.output, "Use 'create' to begin configuring a new zone.\n");
    EXPECT_EQ(environment.errors, "");
    EXPECT_EQ(session.prompt(), "zonecfg:ant1> ");
    environment.output.clear();
    session.execute("create -t SYSsolaris-kz");
    session.execute("remove device id=0");
    session.execute("add device");
    EXPECT_EQ(session.prompt(), "zonecfg:ant1:device> ");
    session.execute("set storage=" + std::string(kSuri));
    session.execute("set bootpri=0");
    EXPECT_EQ(environment.output, "");
    session.execute("info");
    EXPECT_EQ(environment.output,
              "match not specified\nstorage: " + std::string(kSuri) + "\nid: 1\nbootpri: 0\n");
    session.execute("end");
    session.execute("add suspend");
    session.execute("set path=/mnt/suspend/ant1.sus");
    session.execute("end");
    EXPECT_EQ(session.prompt(), "zonecfg:ant1> ");
    session.execute("exit");
    EXPECT_TRUE(session.done());
    EXPECT_TRUE(session.finish());
    EXPECT_EQ(session.status(), kExitOk);
    EXPECT_EQ(environment.errors, "");
    const zone::Config& saved = environment.zones.at("ant1");
    EXPECT_EQ(saved.hostid(), "0x2e7d2173");
    EXPECT_EQ(saved.devices().at(0).id, 1u);
    EXPECT_EQ(saved.suspend()->path, "/mnt/suspend/ant1.sus");
}

TEST_F(SessionTest, InfoOfSuspendAsInTheThirdTranscript) {
    have_zone("ant1");
    EXPECT_EQ(batch({"info suspend"}), kExitOk);
    EXPECT_EQ(environment.output, "");
    EXPECT_EQ(terminal({"add suspend", "set path=/system/zones/kzone1/suspend", "end"}), kExitOk);
    EXPECT_EQ(batch({"info suspend"}), kExitOk);
    EXPECT_EQ(environment.output,
              "suspend:\n        path: /system/zones/kzone1/suspend\n        storage not specified\n");
}

TEST_F(SessionTest, UnknownZone) {
    EXPECT_EQ(batch({"info"}), kExitError);
    EXPECT_EQ(environment.errors, "ant1: No such zone configured\n");
    EXPECT_EQ(environment.output, "");
    environment.errors.clear();
    EXPECT_EQ(run_session(environment, Source::pipe, {}), kExitOk);
    EXPECT_EQ(environment.errors, "ant1: No such zone configured\n");
    EXPECT_EQ(environment.output, "Use 'create' to begin configuring a new zone.\n");
}

TEST_F(SessionTest, CreateSaysWhichTemplate) {
    EXPECT_EQ(terminal({"create"}), kExitOk);
    EXPECT_THAT(environment.output, HasSubstr("create: Using system default template 'SYSdefault'\n"));
    EXPECT_EQ(environment.zones.at("ant1").cpu_count(), 4u);
}

TEST_F(SessionTest, CreateFromAMissingTemplate) {
    EXPECT_EQ(batch({"create -t SYSnone"}), kExitError);
    EXPECT_EQ(environment.errors, "SYSnone: No such zone configured\n");
    EXPECT_FALSE(environment.zones.contains("ant1"));
}

TEST_F(SessionTest, CreateTakesNoKeyFromWhatItCopies) {
    have_zone("other");
    ASSERT_TRUE(environment.zones.at("other").set_keysource_raw("00112233445566778899aabbccddeeff"));
    EXPECT_EQ(batch({"create -t other"}), kExitOk);
    EXPECT_FALSE(environment.zones.at("ant1").keysource_raw());
}

TEST_F(SessionTest, CreateFromAFileKeepsItsKey) {
    environment.files["/x.cfg"] = "create -b\nadd keysource\nset raw=00112233445566778899aabbccddeeff\nend\n";
    EXPECT_EQ(batch({"create -a /x.cfg"}), kExitOk);
    EXPECT_TRUE(environment.zones.at("ant1").keysource_raw());
    EXPECT_EQ(batch({"create -F -a /y.cfg"}), kExitError);
    EXPECT_EQ(environment.errors, "/y.cfg: No such file or directory\n");
}

TEST_F(SessionTest, CreateOnAnExistingZoneAsks) {
    have_zone("ant1");
    environment.answers = {false};
    EXPECT_EQ(terminal({"create -b"}), kExitOk);
    EXPECT_THAT(environment.questions, ElementsAre("Zone ant1 already exists; create anyway"));
    EXPECT_EQ(environment.saves, 0);
    environment.answers = {true};
    EXPECT_EQ(terminal({"create -b"}), kExitOk);
    EXPECT_EQ(environment.saves, 1);
    EXPECT_THAT(environment.zones.at("ant1").resources(), IsEmpty());
}

TEST_F(SessionTest, CreateOnAnExistingZoneWithoutTerminal) {
    have_zone("ant1");
    EXPECT_EQ(batch({"create -b"}), kExitError);
    EXPECT_EQ(
        environment.errors,
        "Zone exists, input not from terminal and -F not specified:\ncreate command ignored, exiting.\n");
    EXPECT_EQ(batch({"create -F -b"}), kExitOk);
    EXPECT_EQ(environment.output, "Zone ant1 already exists; overwriting.\n");
}

TEST_F(SessionTest, CreateAndDeleteRefuseInstalledZones) {
    for (const auto state : {zone::State::installed, zone::State::unavailable, zone::State::running}) {
        have_zone("ant1", state);
        environment.errors.clear();
        EXPECT_EQ(batch({"create -F -b"}), kExitError);
        EXPECT_EQ(batch({"delete -F"}), kExitError);
        EXPECT_EQ(environment.errors,
                  "Zone ant1 already installed; create not allowed.\nZone ant1 already installed; delete not "
                  "allowed.\n");
    }
    have_zone("ant1", zone::State::incomplete);
    environment.errors.clear();
    EXPECT_EQ(batch({"delete -F"}), kExitError);
    EXPECT_EQ(environment.errors, "Zone ant1 is incomplete; delete not allowed.\n");
}

TEST_F(SessionTest, DeleteAsksOrIsForced) {
    have_zone("ant1");
    EXPECT_EQ(batch({"delete"}), kExitError);
    EXPECT_EQ(environment.errors,
              "Input not from terminal and -F not specified:\ndelete command ignored, exiting.\n");
    environment.answers = {false};
    EXPECT_EQ(terminal({"delete"}), kExitOk);
    EXPECT_TRUE(environment.zones.contains("ant1"));
    EXPECT_EQ(environment.questions.back(), "Are you sure you want to delete zone ant1");
    EXPECT_EQ(batch({"delete -F"}), kExitOk);
    EXPECT_FALSE(environment.zones.contains("ant1"));
}

TEST_F(SessionTest, RevertGoesBack) {
    have_zone("ant1");
    environment.answers = {true};
    EXPECT_EQ(terminal({"set autoboot=true", "set zonename=bee", "revert", "info autoboot", "info zonename"}),
              kExitOk);
    EXPECT_EQ(environment.output, "autoboot: false\nzonename: ant1\n");
    EXPECT_THAT(environment.questions, ElementsAre("Are you sure you want to revert"));
    EXPECT_EQ(environment.saves, 0);
    EXPECT_EQ(batch({"set autoboot=true; revert -F"}), kExitOk);
    EXPECT_EQ(environment.saves, 0);
}

TEST_F(SessionTest, RevertOfANeverSavedZoneLeavesNothing) {
    EXPECT_EQ(batch({"create -b; revert -F"}), kExitError);
    EXPECT_EQ(environment.errors, "ant1: No such zone configured\n");
    EXPECT_FALSE(environment.zones.contains("ant1"));
}

TEST_F(SessionTest, CommitSavesAtOnceAndLeavingOnlyWhatChanged) {
    EXPECT_EQ(terminal({"create", "commit", "exit"}), kExitOk);
    EXPECT_EQ(environment.saves, 1);
    EXPECT_EQ(batch({"set autoboot=true; set autoboot=false"}), kExitOk);
    EXPECT_EQ(environment.saves, 1);
}

TEST_F(SessionTest, VerifyPrintsErrorsAndNotes) {
    have_zone("ant1");
    EXPECT_EQ(
        terminal({"set pool=p", "verify", "add dedicated-cpu", "set ncpus=2", "end", "verify", "clear pool"}),
        kExitError);
    EXPECT_EQ(environment.output,
              "pool: without effect on Linux\n"
              "pool: without effect on Linux\ndedicated-cpu: not applied by this version\n");
    EXPECT_EQ(environment.errors, "pool and dedicated-cpu exclude each other.\n");
    EXPECT_EQ(environment.saves, 1);
}

TEST_F(SessionTest, BatchWithABadWholeIsNotSaved) {
    have_zone("ant1");
    EXPECT_EQ(batch({"set initrd=/boot/initrd"}), kExitError);
    EXPECT_EQ(environment.errors,
              "kernel: Required property missing\ninitrd is set, and is only used with kernel.\n"
              "Configuration not saved.\n");
    EXPECT_EQ(environment.saves, 0);
}

TEST_F(SessionTest, TerminalIsAskedWhenSavingFails) {
    have_zone("ant1");
    environment.save_error = Error(Errc::no_space, "ant1: No space left on device");
    Session session(environment, {.zone = "ant1", .source = Source::terminal});
    ASSERT_TRUE(session.open());
    session.execute("set autoboot=true");
    session.execute("exit");
    environment.answers = {false};
    EXPECT_FALSE(session.finish());
    EXPECT_FALSE(session.done());
    EXPECT_EQ(environment.questions.back(), "Configuration not saved; really quit");
    environment.answers = {true};
    EXPECT_TRUE(session.finish());
    EXPECT_EQ(session.status(), kExitError);
    EXPECT_THAT(environment.errors, HasSubstr("ant1: No space left on device\n"));
}

TEST_F(SessionTest, ForcedExitAsksNothing) {
    have_zone("ant1");
    environment.save_error = Error(Errc::no_space, "ant1: No space left on device");
    EXPECT_EQ(terminal({"set autoboot=true", "exit -F"}), kExitError);
    EXPECT_THAT(environment.questions, IsEmpty());
}

TEST_F(SessionTest, LeavingInsideAResource) {
    have_zone("ant1");
    EXPECT_EQ(batch({"set autoboot=true; add suspend"}), kExitError);
    EXPECT_EQ(environment.errors, "Resource incomplete.\n");
    EXPECT_EQ(environment.saves, 0);
    Session session(environment, {.zone = "ant1", .source = Source::terminal});
    ASSERT_TRUE(session.open());
    session.execute("set autoboot=true");
    session.execute("add suspend");
    environment.answers = {false};
    EXPECT_FALSE(session.finish());
    EXPECT_EQ(environment.questions.back(), "Resource incomplete; really quit");
    EXPECT_EQ(session.prompt(), "zonecfg:ant1:suspend> ");
    environment.answers = {true};
    EXPECT_TRUE(session.finish());
    EXPECT_EQ(session.status(), kExitOk);
    EXPECT_TRUE(environment.zones.at("ant1").autoboot());
    EXPECT_FALSE(environment.zones.at("ant1").suspend());
}

TEST_F(SessionTest, BatchStopsAtTheFirstErrorAndSavesNothing) {
    have_zone("ant1");
    EXPECT_EQ(batch({"set autoboot=true; set accel=hvf; set autoshutdown=halt"}), kExitError);
    EXPECT_EQ(environment.errors,
              "hvf: Invalid argument\naccel must be auto, kvm or tcg.\nConfiguration not saved.\n");
    EXPECT_EQ(environment.saves, 0);
}

TEST_F(SessionTest, PipeGoesOnButDoesNotSaveHalf) {
    have_zone("ant1");
    EXPECT_EQ(run_session(environment, Source::pipe,
                          {"set autoboot=maybe", "set autoshutdown=halt", "info autoshutdown"}),
              kExitError);
    EXPECT_EQ(environment.output, "autoshutdown: halt\n");
    EXPECT_THAT(environment.errors, HasSubstr("Configuration not saved.\n"));
    EXPECT_EQ(environment.saves, 0);
}

TEST_F(SessionTest, ErrorsInFilesNameTheLine) {
    Session named(environment, {.zone = "ant1", .source = Source::file, .file_name = "/x.cfg"});
    ASSERT_TRUE(named.open());
    named.execute("create -b");
    named.execute("");
    named.execute("set host-compatible=memlzrr");
    EXPECT_TRUE(named.done());
    EXPECT_TRUE(environment.errors.starts_with("On line 3 of /x.cfg:\nmemlzrr: Invalid argument\n"));
    environment.errors.clear();
    Session from_stdin(environment, {.zone = "ant1", .source = Source::file});
    ASSERT_TRUE(from_stdin.open());
    from_stdin.execute("create -q");
    EXPECT_EQ(environment.errors, "On line 1:\nusage:\ncreate [-F] [ -a <path> | -b | -t <template> ]\n");
}

TEST_F(SessionTest, SyntaxErrorsInFiles) {
    Session session(environment, {.zone = "ant1", .source = Source::file, .file_name = "/x.cfg"});
    ASSERT_TRUE(session.open());
    session.execute("bogus");
    EXPECT_TRUE(
        environment.errors.starts_with("syntax error on line 1 of /x.cfg\nsyntax error at 'bogus'\n"));
    EXPECT_EQ(session.status(), kExitError);
}

TEST_F(SessionTest, MisuseOnTheCommandLineIsStatusTwo) {
    have_zone("ant1");
    EXPECT_EQ(batch({"frobnicate"}), kExitUsage);
    EXPECT_EQ(batch({"set autoboot"}), kExitUsage);
    EXPECT_EQ(batch({"set autoboot=maybe"}), kExitError);
    EXPECT_EQ(terminal({"frobnicate"}), kExitError);
}

TEST_F(SessionTest, EveryCommandKnowsItsUsage) {
    have_zone("ant1");
    const std::vector<std::string> misuses{
        "add",       "clear",     "commit now", "create -b -t x", "create -t",     "delete now",
        "exit now",  "export -f", "export x",   "help me",        "info device x", "remove",
        "revert -x", "select",    "set x",      "verify all",     "add attr name", "info zonename x"};
    for (const std::string& line : misuses) {
        environment.errors.clear();
        EXPECT_EQ(batch({line}), kExitUsage) << line;
        EXPECT_TRUE(environment.errors.starts_with("usage:\n" + line.substr(0, line.find(' '))))
            << environment.errors;
    }
    environment.errors.clear();
    EXPECT_EQ(batch({"add suspend; end here"}), kExitUsage);
    EXPECT_EQ(batch({"add suspend; cancel here"}), kExitUsage);
    EXPECT_EQ(environment.errors,
              "usage:\nend\nResource incomplete.\nusage:\ncancel\nResource incomplete.\n");
}

TEST_F(SessionTest, CommandsInTheWrongScope) {
    have_zone("ant1");
    EXPECT_EQ(terminal({"end", "cancel", "add suspend", "commit", "verify", "export", "create", "delete",
                        "revert", "cancel"}),
              kExitError);
    EXPECT_EQ(environment.errors,
              "The end command only makes sense in the resource scope.\n"
              "The cancel command only makes sense in the resource scope.\n"
              "The commit command only makes sense in the global scope.\n"
              "The verify command only makes sense in the global scope.\n"
              "The export command only makes sense in the global scope.\n"
              "The create command only makes sense in the global scope.\n"
              "The delete command only makes sense in the global scope.\n"
              "The revert command only makes sense in the global scope.\n");
}

TEST_F(SessionTest, ReadOnlySessions) {
    have_zone("ant1");
    environment.writable = false;
    EXPECT_EQ(terminal({"info autoboot", "set autoboot=true"}), kExitError);
    EXPECT_EQ(environment.output, "autoboot: false\n");
    EXPECT_EQ(environment.errors,
              "WARNING: you do not have write access to this zone's configuration file;\n"
              "going into read-only mode.\nant1: Permission denied\n");
}

TEST_F(SessionTest, Renaming) {
    have_zone("ant1");
    have_zone("bee");
    EXPECT_EQ(terminal({"set zonename=bee", "set zonename=global", "set zonename=a/b", "set zonename="}),
              kExitError);
    EXPECT_EQ(environment.errors,
              "bee: Zone name already in use\nglobal: Bogus zone name\na/b: Bogus zone name\nzonename: Bogus "
              "zone name\n");
    EXPECT_EQ(batch({"set zonename=cat"}), kExitOk);
    EXPECT_TRUE(environment.zones.contains("cat"));
    EXPECT_FALSE(environment.zones.contains("ant1"));
    have_zone("ant1", zone::State::installed);
    environment.errors.clear();
    EXPECT_EQ(batch({"set zonename=dog"}), kExitError);
    EXPECT_EQ(environment.errors, "ant1: Zone state is invalid for the requested operation\n");
}

TEST_F(SessionTest, KeyOfAnInstalledZoneStays) {
    have_zone("ant1", zone::State::installed);
    ASSERT_TRUE(environment.zones.at("ant1").set_keysource_raw("00112233445566778899aabbccddeeff"));
    const std::string other = "select keysource; set raw=ff112233445566778899aabbccddeeff; end";
    for (const std::string& line : {std::string("remove keysource"), other}) {
        environment.errors.clear();
        EXPECT_EQ(batch({line}), kExitError);
        EXPECT_THAT(environment.errors,
                    HasSubstr("keysource: Zone state is invalid for the requested operation\n"));
    }
    EXPECT_EQ(environment.saves, 0);
    environment.states["ant1"] = zone::State::unavailable;
    EXPECT_EQ(batch({other}), kExitOk) << "the right key makes it available again";
    environment.states["ant1"] = zone::State::configured;
    EXPECT_EQ(batch({"remove keysource"}), kExitOk);
    EXPECT_FALSE(environment.zones.at("ant1").keysource_raw());
}

TEST_F(SessionTest, RemovingSeveralAsks) {
    have_zone("ant1");
    environment.answers = {false, true};
    EXPECT_EQ(terminal({"add anet", "end", "remove anet", "info anet", "remove anet"}), kExitOk);
    EXPECT_EQ(environment.questions,
              std::vector<std::string>(2, "Are you sure you want to remove ALL 'anet' resources"));
    EXPECT_THAT(environment.output, HasSubstr("anet 1:\n"));
    EXPECT_THAT(environment.zones.at("ant1").anets(), IsEmpty());
    EXPECT_EQ(batch({"add anet; end; add anet; end; remove anet"}), kExitError);
    EXPECT_THAT(environment.errors, HasSubstr("There are multiple instances of this resource."));
    EXPECT_EQ(batch({"add anet; end; add anet; end; remove -F anet; set autoboot=true"}), kExitOk);
}

TEST_F(SessionTest, ExportPrintsTheKeyOrWritesAFile) {
    have_zone("ant1");
    ASSERT_TRUE(environment.zones.at("ant1").set_keysource_raw("00112233445566778899aabbccddeeff"));
    EXPECT_EQ(batch({"export"}), kExitOk);
    EXPECT_TRUE(environment.output.starts_with("create -b\nset brand=linux-kz\n"));
    EXPECT_THAT(environment.output, HasSubstr("set raw=00112233445566778899aabbccddeeff\n"));
    EXPECT_EQ(batch({"export -f /x.cfg"}), kExitOk);
    EXPECT_EQ(environment.files["/x.cfg"], environment.output);
}

TEST_F(SessionTest, Help) {
    EXPECT_EQ(terminal({"help", "help set", "help syntax", "help usage", "help commands", "help device"}),
              kExitOk);
    for (const VerbInfo& verb : verbs())
        EXPECT_THAT(environment.output, HasSubstr(std::string(verb.usage)));
    environment.output.clear();
    have_zone("ant1");
    EXPECT_EQ(terminal({"add suspend", "help", "cancel"}), kExitOk);
    EXPECT_THAT(environment.output, HasSubstr("\tpath: the full path of the file to write\n"));
}

TEST_F(SessionTest, LoadErrorsEndTheSession) {
    class Broken : public FakeEnvironment {
        Result<zone::Config> load_zone(const std::string&) override {
            return fail(Errc::invalid_argument, "etc/zones/ant1.cfg: line 1: syntax error at 'x'");
        }
    } broken;
    EXPECT_EQ(run_session(broken, Source::terminal, {"create"}), kExitError);
    EXPECT_EQ(broken.errors, "etc/zones/ant1.cfg: line 1: syntax error at 'x'\n");
}

}  // namespace
}  // namespace kz::zonecfg

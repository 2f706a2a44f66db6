#include "zonecfg/editor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "zonecfg/parser.h"
#include "zonecfg/session.h"

namespace kz::zonecfg {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// The error of the first command that fails, "" when none does.
std::string edit(Editor& editor, std::string_view line) {
    const auto commands = parse_line(line);
    EXPECT_TRUE(commands) << line;
    for (const Command& command : commands.value_or(std::vector<Command>{})) {
        const Arguments& arguments = command.arguments;
        Result<void> outcome;
        switch (command.verb) {
            case Verb::add:
                outcome = editor.add(arguments);
                break;
            case Verb::select:
                outcome = editor.select(arguments);
                break;
            case Verb::set:
                outcome = editor.set(arguments);
                break;
            case Verb::clear:
                outcome = editor.clear(arguments);
                break;
            case Verb::remove:
                outcome = editor.remove(arguments);
                break;
            case Verb::end:
                outcome = editor.end();
                break;
            case Verb::cancel:
                outcome = editor.cancel();
                break;
            default:
                ADD_FAILURE() << line;
        }
        if (!outcome) return outcome.error().message();
    }
    return {};
}

TEST(Editor, IdsAreTheLowestNeverUsed) {
    Editor editor;
    EXPECT_EQ(edit(editor, "add device; set match=/dev/a; end; add device; set match=/dev/b; end"), "");
    EXPECT_EQ(edit(editor, "remove device id=0; add device; set match=/dev/c; end"), "");
    EXPECT_EQ(editor.config().at("device", 1)->get("id"), "2");
    EXPECT_EQ(edit(editor, "select device id=2; set id=0; end; add device; cancel"), "");
    EXPECT_EQ(editor.config().at("device", 1)->get("id"), "0") << "by hand any free id will do";
    editor.reset(editor.config());
    EXPECT_EQ(edit(editor, "add device; set match=/dev/d; end"), "");
    EXPECT_EQ(editor.config().at("device", 2)->get("id"), "2") << "0 and 1 are taken";
}

TEST(Editor, SelectByPlaceAndByProperties) {
    Editor editor;
    EXPECT_EQ(edit(editor, "add device; set match=/dev/a; set id=7; end; add device; set match=/dev/b; end"),
              "");
    EXPECT_EQ(edit(editor, "select device 0; set bootpri=3; end"), "");
    EXPECT_EQ(editor.config().at("device", 0)->get("bootpri"), "3");
    EXPECT_EQ(edit(editor, "select device match=/dev/b id=0; set bootpri=4; end"), "");
    EXPECT_EQ(editor.config().at("device", 1)->get("bootpri"), "4");
    EXPECT_EQ(edit(editor, "select device bootpri=04; cancel"), "") << "compared in the canonical form";
    EXPECT_EQ(edit(editor, "select device"), "device: Insufficient specification");
    EXPECT_EQ(edit(editor, "select device id=9"), "device: No such resource with that id");
    EXPECT_EQ(edit(editor, "select device 2"), "device: No such resource with that id");
    EXPECT_EQ(edit(editor, "select device color=red"), "color: No such property type");
    EXPECT_EQ(edit(editor, "select gadget id=0"), "gadget: No such resource type");
    EXPECT_FALSE(editor.in_resource());
}

TEST(Editor, SelectByExpandedStorage) {
    Editor editor{zone::Config("z")};
    EXPECT_EQ(edit(editor, "add device; set storage.template=file:///d/%{zonename}%{id}; end"), "");
    EXPECT_EQ(edit(editor, "select device storage=file:///d/z0; set bootpri=0; end"), "");
    EXPECT_TRUE(editor.config().find("device")->has("bootpri"));
}

TEST(Editor, CancelKeepsTheOld) {
    Editor editor;
    EXPECT_EQ(edit(editor,
                   "add capped-memory; set physical=4G; end; select capped-memory; set physical=8G; cancel"),
              "");
    EXPECT_EQ(editor.config().memory_bytes(), std::uint64_t{4} << 30);
    EXPECT_EQ(edit(editor, "add suspend; cancel"), "");
    EXPECT_EQ(editor.config().find("suspend"), nullptr);
}

TEST(Editor, SingletonsExistOnce) {
    Editor editor;
    EXPECT_EQ(edit(editor, "add dedicated-cpu; set ncpus=1; end; add dedicated-cpu"),
              "The dedicated-cpu resource already exists.");
    EXPECT_EQ(edit(editor, "add capped-memory; set physical=1G; end; add capped-memory"),
              "The capped-memory resource or a related resource control already exists.");
}

TEST(Editor, EndChecksTheResource) {
    Editor editor;
    EXPECT_EQ(edit(editor, "add capped-memory; end"),
              "No property was specified.  One of physical, swap or locked is required.");
    EXPECT_TRUE(editor.in_resource()) << "and stays in it";
    EXPECT_EQ(edit(editor, "cancel; add device; set match=/dev/a; end; add device; set match=/dev/a; end"),
              "A device resource with the match '/dev/a' already exists.");
    EXPECT_EQ(edit(editor, "cancel; select device id=0; end"), "") << "no collision with itself";
}

TEST(Editor, SuspendChangesOnlyAfterClear) {
    Editor editor;
    EXPECT_EQ(edit(editor, "add suspend; set path=/a; set storage=nfs://h/s/f"),
              "storage: Invalid argument\nstorage and path exclude each other; clear path first.");
    EXPECT_EQ(edit(editor, "clear path; set storage=nfs://h/s/f; end"), "");
    EXPECT_EQ(editor.config().suspend()->storage, "nfs://h/s/f");
}

TEST(Editor, ListProperties) {
    Editor editor;
    EXPECT_EQ(edit(editor, "add verified-boot; add cert a; add cert [b,c]; remove cert a; end"), "");
    EXPECT_EQ(editor.config().find("verified-boot")->get("cert"), "[b,c]");
    EXPECT_EQ(edit(editor, "select verified-boot; remove cert x"), "x: No such property with that id");
    EXPECT_EQ(edit(editor, "set cert=[x,y]; end"), "");
    EXPECT_EQ(editor.config().find("verified-boot")->get("cert"), "[x,y]");
    EXPECT_EQ(edit(editor, "select verified-boot; add policy none"),
              "none: Invalid argument\npolicy must be none, warning or enforce.");
    EXPECT_EQ(edit(editor, "clear cert; end"), "");
    EXPECT_FALSE(editor.config().find("verified-boot")->has("cert"));
}

TEST(Editor, ResourcesInsideResources) {
    Editor editor;
    EXPECT_EQ(
        edit(editor,
             "add anet; add mac; set mac-address=2:0:0:0:0:1; end; add mac; end; add vlan; set vlan-id=3"),
        "");
    EXPECT_EQ(edit(editor, "end; end"), "");
    EXPECT_EQ(editor.config().find("anet")->children().size(), 3u);
    EXPECT_EQ(edit(editor, "select anet 0; remove mac id=0; select mac 0; set mac-slot=2; end; end"), "");
    const auto& children = editor.config().find("anet")->children();
    ASSERT_EQ(children.size(), 2u);
    EXPECT_EQ(children[0].get("id"), "1");
    EXPECT_EQ(children[0].get("mac-slot"), "2");
    EXPECT_EQ(edit(editor, "select anet 0; add vlan; set vlan-id=3; end"),
              "A vlan resource with the vlan-id '3' already exists.");
}

TEST(Editor, TypesInTheWrongPlace) {
    Editor editor;
    EXPECT_EQ(edit(editor, "add mac"), "mac: No such resource type\nIt is part of the anet resource.");
    EXPECT_EQ(edit(editor, "add gadget"), "gadget: No such resource type");
    EXPECT_EQ(edit(editor, "add anet; add device"),
              "device: No such resource type\n'end' or 'cancel' the anet resource first.");
}

TEST(Editor, PropertiesThatDoNotExist) {
    Editor editor;
    EXPECT_EQ(edit(editor, "set ncpus=1"), "ncpus: No such property type");
    EXPECT_EQ(edit(editor, "clear ncpus"), "ncpus: No such property type");
    EXPECT_EQ(edit(editor, "clear zonename"), "zonename: Clearing property is not allowed");
    EXPECT_EQ(edit(editor, "set bootargs=[a]"), "[a]: Invalid argument");
    EXPECT_EQ(edit(editor, "add device; set ncpus=1"), "ncpus: No such property type");
    EXPECT_EQ(edit(editor, "clear ncpus"), "ncpus: No such property type");
    EXPECT_EQ(edit(editor, "set match=[a]"),
              "[a]: Invalid argument\nmatch must be the full path of a whole disk below /dev.");
}

std::vector<std::string> complete(std::string_view text, Editor& editor) {
    return completions(text, editor, {"SYSblank", "SYSlinux-kz"});
}

TEST(Completion, Commands) {
    Editor editor;
    EXPECT_THAT(complete("ex", editor), UnorderedElementsAre("exit", "export"));
    EXPECT_THAT(complete("end", editor), IsEmpty()) << "not in the global scope";
    EXPECT_THAT(complete("verify; com", editor), ElementsAre("commit"));
    EXPECT_THAT(complete("bogus x", editor), IsEmpty());
}

TEST(Completion, Arguments) {
    Editor editor;
    EXPECT_THAT(complete("add capped-", editor), ElementsAre("capped-cpu", "capped-memory"));
    EXPECT_THAT(complete("set auto", editor), ElementsAre("autoboot=", "autoshutdown="));
    EXPECT_THAT(complete("set accel=", editor), ElementsAre("accel=auto", "accel=kvm", "accel=tcg"));
    EXPECT_THAT(complete("set bogus=", editor), IsEmpty());
    EXPECT_THAT(complete("select device i", editor), ElementsAre("id="));
    EXPECT_THAT(complete("info virt", editor), ElementsAre("virtual-cpu"));
    EXPECT_THAT(complete("info zone", editor), ElementsAre("zonename"));
    EXPECT_THAT(complete("create -t SYSl", editor), ElementsAre("SYSlinux-kz"));
    EXPECT_THAT(complete("create ", editor), ElementsAre("-F", "-a", "-b", "-t"));
    EXPECT_THAT(complete("delete ", editor), ElementsAre("-F"));
    EXPECT_THAT(complete("export ", editor), ElementsAre("-f"));
    EXPECT_THAT(complete("help dedi", editor), ElementsAre("dedicated-cpu"));
}

TEST(Completion, InResources) {
    Editor editor;
    ASSERT_EQ(edit(editor, "add anet"), "");
    EXPECT_THAT(complete("add ", editor), ElementsAre("mac", "vlan"));
    EXPECT_THAT(complete("clear mac-", editor), ElementsAre("mac-address", "mac-prefix", "mac-slot"));
    EXPECT_THAT(complete("e", editor), UnorderedElementsAre("end", "exit"));
    ASSERT_EQ(edit(editor, "cancel; add verified-boot"), "");
    EXPECT_THAT(complete("remove ", editor), ElementsAre("cert"));
    EXPECT_THAT(complete("set policy=e", editor), ElementsAre("policy=enforce"));
}

}  // namespace
}  // namespace kz::zonecfg

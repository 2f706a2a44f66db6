#include "fake_environment.h"

#include <gtest/gtest.h>

#include "zonecfg/parse_export.h"

namespace kz::zonecfg {

Result<zone::Config> FakeEnvironment::load_file(const std::string& path, const std::string& zone_name) {
    const auto found = files.find(path);
    if (found == files.end()) return fail(Errc::not_found, "{}: No such file or directory", path);
    return parse_export(found->second, zone_name);
}

zone::Config default_template() {
    const auto config = parse_export(
        "create -b\nadd anet\nend\nadd device\nset storage.template=file:///z/%{zonename}/disk%{id}\nset "
        "bootpri=0\nend\n"
        "add virtual-cpu\nset ncpus=4\nend\nadd capped-memory\nset physical=4G\nend\n",
        "SYSdefault");
    EXPECT_TRUE(config) << config.error().message();
    return config.value_or(zone::Config{});
}

int run_session(FakeEnvironment& environment, Source source, const std::vector<std::string>& lines,
                const std::string& zone) {
    Session session(environment, {.zone = zone, .source = source});
    if (!session.open()) return session.status();
    for (const std::string& line : lines) {
        session.execute(line);
        if (session.done()) break;
    }
    EXPECT_TRUE(session.finish());
    return session.status();
}

}  // namespace kz::zonecfg

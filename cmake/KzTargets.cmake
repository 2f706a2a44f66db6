# One static library per floor of DESIGN.md section 3. A floor's CMakeLists.txt names what it stands on;
# tests/layering.py holds the includes against the same order.

add_library(kz_options INTERFACE)
target_compile_options(kz_options INTERFACE -Wall -Wextra -Werror -Wshadow -Wnon-virtual-dtor -Wold-style-cast)
target_include_directories(kz_options INTERFACE ${CMAKE_SOURCE_DIR}/src)

# kz_library(NAME [DEPS lib...]): every *.cc of the current folder; DEPS may be floors (kz_base...) or packages.
function(kz_library name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_library(kz_${name} STATIC ${sources})
  target_link_libraries(kz_${name} PUBLIC kz_options ${ARG_DEPS})
endfunction()

# kz_program(NAME [DEPS lib...]): src/bin/NAME/main.cc.
function(kz_program name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  add_executable(${name} ${CMAKE_SOURCE_DIR}/src/bin/${name}/main.cc)
  target_link_libraries(${name} PRIVATE kz_options ${ARG_DEPS})
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()

# kz_unit_test(NAME [DEPS lib...]): every *_test.cc of the current folder as one program; each case is a CTest test.
function(kz_unit_test name)
  cmake_parse_arguments(ARG "" "" "DEPS" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  add_executable(unit_${name} ${sources})
  target_link_libraries(unit_${name} PRIVATE kz_options kz_${name} ${ARG_DEPS} GTest::gmock GTest::gtest_main)
  target_compile_definitions(unit_${name} PRIVATE KZ_TEST_DATA="${CMAKE_CURRENT_SOURCE_DIR}/data")
  set_target_properties(unit_${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  gtest_discover_tests(unit_${name} TEST_PREFIX "unit.${name}." PROPERTIES LABELS unit TIMEOUT 60 DISCOVERY_TIMEOUT 60)
endfunction()

# Tests in Python that use the lab (tests/lab) and what tests/e2e/harness offers.

# kz_guest_test(NAME LABEL FILE): one file of unittest cases. Each has a lab of its own, so two may run at a time; but
# whether a zone resumes before its memory is in hangs on a setting of the whole machine (vm.unprivileged_userfaultfd),
# so of those that resume zones, or set it, there is one.
function(kz_guest_test name label file)
  add_test(NAME ${name} COMMAND /usr/bin/python3 -B ${file} -v)
  file(STRINGS ${file} resumes REGEX "suspend|userfaultfd" LIMIT_COUNT 1)
  if(resumes)
    set_tests_properties(${name} PROPERTIES RESOURCE_LOCK userfaultfd)
  endif()
  set_tests_properties(${name} PROPERTIES
    LABELS ${label} TIMEOUT 900
    ENVIRONMENT "KZ_BIN=${CMAKE_RUNTIME_OUTPUT_DIRECTORY};PYTHONPATH=${CMAKE_SOURCE_DIR}/tests/e2e:${CMAKE_SOURCE_DIR}/tests/lab")
endfunction()

# kz_guest_tests(LABEL): every *_test.py of the current folder.
function(kz_guest_tests label)
  file(GLOB files CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.py)
  foreach(file ${files})
    get_filename_component(stem ${file} NAME_WE)
    string(REGEX REPLACE "_test$" "" stem ${stem})
    if(stem MATCHES "^transcript_[0-9]+$")
      kz_guest_test(${stem} ${label} ${file})
    else()
      kz_guest_test(${label}.${stem} ${label} ${file})
    endif()
  endforeach()
endfunction()

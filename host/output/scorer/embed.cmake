# SPDX-License-Identifier: Apache-2.0
# cmake -D OUTPUT=FILE -P embed.cmake SOURCE…: the sources as one C string each, in a list that ends
# with NULL: what exported programs are put together from (host/output/c_program.c).
set(text "// Made by host/output/scorer/embed.cmake.\n#include \"host/output/scorer/sources.h\"\n\nconst char *const co_scorer_sources[] = {\n")
math(EXPR last "${CMAKE_ARGC} - 1")
foreach(i RANGE ${last})
  set(source "${CMAKE_ARGV${i}}")
  if(NOT source MATCHES "\\.([ch]|inc)$" OR source MATCHES "^OUTPUT=")
    continue()
  endif()
  file(READ "${source}" content)
  string(REPLACE "\\" "\\\\" content "${content}")
  string(REPLACE "\"" "\\\"" content "${content}")
  string(REPLACE "\n" "\\n\"\n\"" content "${content}")
  string(APPEND text "\"${content}\",\n")
endforeach()
string(APPEND text "0};\n")
file(WRITE "${OUTPUT}" "${text}")

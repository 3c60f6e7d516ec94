# SPDX-License-Identifier: Apache-2.0
#
# cmake -DPROGRAM=planted -DCASE=name -DEXPECT=regex -P expect_caught.cmake
# Passes if the correct form of a planted case runs clean and the wrong one is caught with a report
# that matches: neither a lane that sees nothing nor one that cries at everything gets through.
execute_process(COMMAND ${PROGRAM} ${CASE} good
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT status EQUAL 0 OR NOT output STREQUAL "")
  message(FATAL_ERROR "the correct form of ${CASE} was accused (${status}):\n${output}")
endif()
execute_process(COMMAND ${PROGRAM} ${CASE} bad
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(status EQUAL 0)
  message(FATAL_ERROR "${CASE} went unnoticed:\n${output}")
endif()
if(NOT output MATCHES "${EXPECT}")
  message(FATAL_ERROR "${CASE} failed (${status}) without '${EXPECT}' in its report:\n${output}")
endif()
message(STATUS "${CASE} caught (${status}):\n${output}")

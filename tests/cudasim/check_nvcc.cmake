# SPDX-License-Identifier: Apache-2.0
#
# cmake -DNVCC=nvcc -DSOURCE=x.cu -DARCH=sm_90 -DROOT=repository -DOUTPUT=x.cubin
#   -P check_nvcc.cmake
# Passes if nvcc compiles the file without a warning and no kernel spills registers.
execute_process(
  COMMAND ${NVCC} -std=c++17 -arch=${ARCH} -cubin -Xptxas -v -Werror all-warnings
    -I${ROOT} -o ${OUTPUT} ${SOURCE}
  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT status EQUAL 0)
  message(FATAL_ERROR "nvcc failed on ${SOURCE} (${status}):\n${output}")
endif()
if(output MATCHES "[1-9][0-9]* bytes spill (stores|loads)")
  message(FATAL_ERROR "${SOURCE}: registers spill for ${ARCH}:\n${output}")
endif()
message(STATUS "${output}")

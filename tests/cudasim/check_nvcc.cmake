# SPDX-License-Identifier: Apache-2.0
#
# cmake -DNVCC=nvcc -DSOURCE=x.cu -DARCH=sm_90 -DROOT=repository -DOUTPUT=x.cubin
#   -P check_nvcc.cmake
# Passes if nvcc compiles the file without a warning, no kernel spills registers, and every kernel that
# the file names in lines "// Vectors: NAME ..." reads four values in one access.
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

file(STRINGS ${SOURCE} named REGEX "^// Vectors: ")
if(named)
  list(TRANSFORM named REPLACE "^// Vectors: " "")
  list(JOIN named " " named)
  separate_arguments(named)
  execute_process(
    COMMAND ${NVCC} -std=c++17 -arch=${ARCH} -ptx -I${ROOT} -o ${OUTPUT}.ptx ${SOURCE}
    RESULT_VARIABLE status ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "nvcc failed on ${SOURCE} (${status}):\n${output}")
  endif()
  file(READ ${OUTPUT}.ptx ptx)
  string(REPLACE ";" "," ptx "${ptx}")
  string(REPLACE ".entry " ";" kernels "${ptx}")
  list(REMOVE_AT kernels 0)
  foreach(name IN LISTS named)
    string(LENGTH ${name} length)
    set(found FALSE)
    foreach(kernel IN LISTS kernels) # mangled: the length, then the name
      if(kernel MATCHES "^[A-Za-z_0-9]*[^0-9]${length}${name}[^a-z_0-9]" AND
         kernel MATCHES "ld[.]global([.]nc)?[.]v4[.][a-z]32|ld[.]global([.]nc)?[.]v2[.][bu]32")
        set(found TRUE)
      endif()
    endforeach()
    if(NOT found)
      message(FATAL_ERROR "${SOURCE}: ${name} reads no four values at once for ${ARCH}")
    endif()
  endforeach()
endif()

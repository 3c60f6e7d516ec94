// SPDX-License-Identifier: Apache-2.0
// The types of stored elements, and exact conversion between those of memory.
#include "host/core/h5_private.h"

#include <float.h>
#include <math.h>

// ---- types -------------------------------------------------------------------------------------

hid_t co_h5_stored_type(co_dtype dtype) {
  switch (dtype) {
  case CO_U8:
    return H5T_STD_U8LE;
  case CO_I32:
    return H5T_STD_I32LE;
  case CO_I64:
    return H5T_STD_I64LE;
  case CO_F32:
    return H5T_IEEE_F32LE;
  case CO_F64:
    return H5T_IEEE_F64LE;
  default:
    return -1;
  }
}

hid_t co_h5_memory_type(co_dtype dtype) {
  switch (dtype) {
  case CO_U8:
    return H5T_NATIVE_UINT8;
  case CO_I32:
    return H5T_NATIVE_INT32;
  case CO_I64:
    return H5T_NATIVE_INT64;
  case CO_F32:
    return H5T_NATIVE_FLOAT;
  case CO_F64:
    return H5T_NATIVE_DOUBLE;
  default:
    return -1;
  }
}

static bool classify_integer(hid_t type, h5_element *e) {
  bool is_signed = H5Tget_sign(type) != H5T_SGN_NONE;
  if (e->size != 1 && e->size != 2 && e->size != 4 && e->size != 8) return false;
  if (e->size == 1 && !is_signed)
    e->dtype = CO_U8;
  else
    e->dtype = e->size < 4 || (e->size == 4 && is_signed) ? CO_I32 : CO_I64;
  e->huge = e->size == 8 && !is_signed;
  e->memory = e->huge ? H5T_NATIVE_UINT64 : co_h5_memory_type(e->dtype);
  return true;
}

static bool classify_float(h5_element *e) {
  if (e->size != 2 && e->size != 4 && e->size != 8) return false;
  e->dtype = e->size == 8 ? CO_F64 : CO_F32;
  e->memory = co_h5_memory_type(e->dtype);
  return true;
}

// h5py's booleans: one byte, FALSE = 0 and TRUE = 1. Read as they are.
static bool classify_boolean(hid_t type, h5_element *e) {
  unsigned char no = 9, yes = 9;
  if (e->size != 1 || H5Tget_nmembers(type) != 2) return false;
  if (H5Tenum_valueof(type, "FALSE", &no) < 0 || H5Tenum_valueof(type, "TRUE", &yes) < 0)
    return false;
  e->dtype = CO_U8;
  e->memory = type;
  return no == 0 && yes == 1;
}

bool co_h5_classify(hid_t type, h5_element *e) {
  *e = (h5_element){.memory = -1, .size = H5Tget_size(type)};
  switch (H5Tget_class(type)) {
  case H5T_INTEGER:
    if (!classify_integer(type, e)) return false;
    break;
  case H5T_FLOAT:
    if (!classify_float(e)) return false;
    break;
  case H5T_ENUM:
    return classify_boolean(type, e);
  case H5T_STRING:
    e->is_string = true;
    e->variable = H5Tis_variable_str(type) > 0;
    e->memory = type;
    return e->size > 0;
  default:
    return false;
  }
  e->ours = H5Tequal(type, co_h5_stored_type(e->dtype)) > 0;
  return true;
}

// ---- converting numbers ------------------------------------------------------------------------

static bool is_float(co_dtype dtype) {
  return dtype == CO_F32 || dtype == CO_F64;
}

static int64_t load_integer(co_dtype dtype, const void *data, int64_t i) {
  return dtype == CO_U8    ? ((const uint8_t *)data)[i]
         : dtype == CO_I32 ? ((const int32_t *)data)[i]
                           : ((const int64_t *)data)[i];
}

static double load_float(co_dtype dtype, const void *data, int64_t i) {
  return dtype == CO_F32 ? (double)((const float *)data)[i] : ((const double *)data)[i];
}

// The store functions answer whether the value came through unchanged.
static bool store_integer(co_dtype dtype, void *data, int64_t i, int64_t value) {
  double wide;
  switch (dtype) {
  case CO_U8:
    ((uint8_t *)data)[i] = (uint8_t)value;
    return value >= 0 && value <= UINT8_MAX;
  case CO_I32:
    ((int32_t *)data)[i] = (int32_t)value;
    return value >= INT32_MIN && value <= INT32_MAX;
  case CO_I64:
    ((int64_t *)data)[i] = value;
    return true;
  case CO_F32:
    wide = (double)(((float *)data)[i] = (float)value);
    break;
  default:
    wide = ((double *)data)[i] = (double)value;
    break;
  }
  return wide < 0x1p63 && (int64_t)wide == value;
}

static bool store_float(co_dtype dtype, void *data, int64_t i, double value) {
  if (dtype == CO_F64) {
    ((double *)data)[i] = value;
    return true;
  }
  if (dtype == CO_F32) {
    float narrow = fabs(value) <= 0x1.fffffep127 || isinf(value) || isnan(value) ? (float)value : 0;
    ((float *)data)[i] = narrow;
    return isnan(value) || (double)narrow == value;
  }
  if (!(value >= -0x1p63 && value < 0x1p63) || floor(value) != value) return false;
  return store_integer(dtype, data, i, (int64_t)value);
}

int64_t co_h5_convert(co_dtype from, const void *in, co_dtype to, void *out, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    bool exact = is_float(from) ? store_float(to, out, i, load_float(from, in, i))
                                : store_integer(to, out, i, load_integer(from, in, i));
    if (!exact) return i;
  }
  return -1;
}

// Whether all of them could be; without branches, as columns are long.
static bool round_doubles(const double *in, float *out, int64_t count) {
  bool beyond = false;
  for (int64_t i = 0; i < count; i++) {
    out[i] = (float)in[i];
    beyond |= (fabs(in[i]) > FLT_MAX) & (fabs(in[i]) < INFINITY);
  }
  return !beyond;
}

int64_t co_h5_round(co_dtype from, const void *in, float *out, int64_t count, double *beyond) {
  if (from == CO_F64 && round_doubles(in, out, count)) return -1;
  for (int64_t i = 0; i < count; i++) {
    double value = is_float(from) ? load_float(from, in, i) : (double)load_integer(from, in, i);
    *beyond = value;
    if (isfinite(value) && fabs(value) > FLT_MAX) return i;
    out[i] = (float)value;
  }
  return -1;
}

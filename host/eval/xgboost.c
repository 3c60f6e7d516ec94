// SPDX-License-Identifier: Apache-2.0
#include "host/eval/xgboost.h"

#include <dlfcn.h>
#include <string.h>

#include "host/core/library.h"

static co_status missing(const char *what) {
  co_status status = co_fail(CO_ERR_DEVICE, "XGBoost, which trees are made by, %s", what);
  co_hint("install it (Debian: apt-get install libxgboost-dev); all but trees does without");
  return status;
}

co_status co_xgboost_open(co_xgboost *out) {
  static const char *const names[] = {"libxgboost.so.0", "libxgboost.so"};
  const struct {
    const char *name;
    void *function; // address of the pointer
  } functions[] = {{"XGBoostVersion", &out->version},
                   {"XGBGetLastError", &out->get_last_error},
                   {"XGDMatrixCreateFromDense", &out->matrix_create},
                   {"XGDMatrixSetFloatInfo", &out->matrix_set_float},
                   {"XGDMatrixFree", &out->matrix_free},
                   {"XGBoosterCreate", &out->create},
                   {"XGBoosterFree", &out->free},
                   {"XGBoosterSetParam", &out->set_param},
                   {"XGBoosterUpdateOneIter", &out->update},
                   {"XGBoosterEvalOneIter", &out->evaluate},
                   {"XGBoosterSlice", &out->slice},
                   {"XGBoosterSaveModelToBuffer", &out->save},
                   {"XGBoosterLoadModelFromBuffer", &out->load},
                   {"XGBoosterPredictFromDense", &out->predict},
                   {"XGBoosterPredictFromDMatrix", &out->predict_matrix}};
  void *library = NULL;
  for (size_t i = 0; !library && i < sizeof names / sizeof *names; i++)
    library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
  if (!library) return missing("is not here: libxgboost.so cannot be loaded");
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    if (!co_library_find(library, functions[i].name, functions[i].function))
      return missing("is too old: it has not all functions");
  }
  return CO_OK;
}

co_status co_xgboost_check(const co_xgboost *library, int code, const char *doing) {
  if (code == 0) return CO_OK;
  // The first line, without where in its sources.
  const char *words = library->get_last_error(), *end = strchr(words, '\n');
  int length = end ? (int)(end - words) : (int)strlen(words);
  return co_fail(CO_ERR_INTERNAL, "XGBoost failed %s: %.*s", doing, length, words);
}

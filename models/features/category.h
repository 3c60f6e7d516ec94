// SPDX-License-Identifier: Apache-2.0
#ifndef COHORT_MODELS_FEATURES_CATEGORY_H
#define COHORT_MODELS_FEATURES_CATEGORY_H

#include "host/core/field.h"

extern const co_field co_hashing_fields[]; // of preprocessing.hashing, for help

#endif

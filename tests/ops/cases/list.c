// SPDX-License-Identifier: Apache-2.0
#include "tests/ops/cases/list.h"

#include "tests/ops/ops_test.h"

#define F(name) &ops_##name,
const ops_family *const ops_families[] = {OPS_FAMILIES(F) NULL};
#undef F

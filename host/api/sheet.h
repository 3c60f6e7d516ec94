// SPDX-License-Identifier: Apache-2.0
// Contact sheets as output files.
#ifndef COHORT_HOST_API_SHEET_H
#define COHORT_HOST_API_SHEET_H

#include "datasets/image_sheet.h"
#include "host/core/output.h"

co_status co_sheet_write(const co_sheet *sheet, co_context *ctx, const co_output *output);

#endif

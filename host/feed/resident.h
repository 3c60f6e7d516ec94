// SPDX-License-Identifier: Apache-2.0
// A program whose network is fed by the model's input section on the device itself, with the
// dataset's columns in device memory where they fit, else with the rows that each batch brings.
// On devices that read the host's memory it is the program alone: loader threads run the section.
#ifndef COHORT_HOST_FEED_RESIDENT_H
#define COHORT_HOST_FEED_RESIDENT_H

#include "datasets/dataset.h"
#include "host/exec/program.h"
#include "models/model.h"

typedef enum co_placement {
  CO_PLACEMENT_AUTO,   // on the device where the columns fit into what the program leaves free
  CO_PLACEMENT_DEVICE, // there, or CO_ERR_MEMORY
  CO_PLACEMENT_HOST    // rows come with each batch
} co_placement;

typedef struct co_resident {
  co_context *ctx;
  co_backend *backend;     // borrowed
  co_model *model;         // borrowed
  co_section *section;     // NULL where loader threads run one
  bool resident;           // columns are in device memory
  int32_t *network_inputs; // per block
  void **buffers;          // per input of the section: device memory of what holds no rows, or NULL
  size_t bytes;            // of the buffers
  co_input_section input;  // for the program
} co_resident;

// Creates both. `dataset` is not kept; with CO_PLACEMENT_HOST it may be NULL, here and below. It must outlive the program.
co_status co_resident_create(co_resident **out, co_program **program, co_model *model,
                             co_dataset *dataset, co_backend *backend,
                             const co_program_options *options, co_placement placement);
void co_resident_free(co_resident *resident); // after the program; NULL is legal
// Copies columns and statistics to the device; before the first submission and once they are fitted or
// read from a model.
co_status co_resident_load(co_resident *resident, co_program *program, co_dataset *dataset);

#endif

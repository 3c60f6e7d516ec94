// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

#define AT(member) offsetof(cli_export_options, member)

static const cli_option options[] = {
    CLI_ROW_MODEL(cli_export_options),
    {.name = "output",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "the file to write",
     .required = true},
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const cli_export_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  const cohort_export_options request = {.model = o->model,
                                         .format = o->formats.item[0],
                                         .output = o->output,
                                         .force = o->common.force};
  cohort_status status = cohort_export(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_export = {
    .name = "export",
    .usage = "c -m MODEL -O FILE.c [options]\n"
             "       cohort export onnx -m MODEL -O FILE.onnx [options]",
    .summary = "a model as a C program of its own, or as ONNX",
    .details =
        "c: one C11 file with weights, preprocessing and golden rows, for models of tables (but "
        "of\n"
        "trees) and of images; it needs libc and libm. Compile it with cc -std=c11 -O2 -o scorer\n"
        "FILE.c -lm; `scorer -h` tells how to run it, `scorer --self-test` scores the golden rows\n"
        "anew. Scores differ from those of predict by rounding, less than 1e-6 of probabilities.\n"
        "Networks that are blended with a linear model (`blend: linear`) are exported with it.\n"
        "\n"
        "onnx: IR version 8, opset 17 (ONNX 1.12, ONNX Runtime 1.12), for tables, images, vectors "
        "and\n"
        "sequences of events (recurrent layers, attention). Each column is an input of its name, "
        "(batch, 1) "
        "or, of\n"
        "events, (batch, TABLE) beside TABLE_length: numbers as they are, NaN where missing; "
        "categories\n"
        "as places in the list that the metadata `inputs` has, -1 where missing; images in bytes, "
        "height,\n"
        "width, channels. Filling in, scaling, logarithms, bounds of outliers, vocabularies and "
        "bins "
        "are\n"
        "in the graph. Dates, texts, ranks (normalization: quantile) and other features that are "
        "made of\n"
        "columns on the host are inputs as features, with their `columns` in the metadata. "
        "Outputs:\n"
        "OUTPUT_score, OUTPUT_probabilities (classes in `outputs`), OUTPUT of numbers; within "
        "1e-5.\n"
        "Of a row with more events than the model's max_length give the last max_length, as "
        "`inputs`\n"
        "says: others have other scores.\n",
    .common = CLI_FORCE,
    .options = options,
    .options_size = sizeof(cli_export_options),
    .operand = "FORMAT",
    .min_operands = 1,
    .max_operands = 1,
    .operands = AT(formats),
    .run = run,
};

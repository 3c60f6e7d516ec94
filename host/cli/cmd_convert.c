// SPDX-License-Identifier: Apache-2.0
#include "host/cli/verbs.h"

typedef struct convert_options {
  cli_common common;
  cli_list files, inputs, outputs, shapes;
  const char *output;
} convert_options;

#define AT(member) offsetof(convert_options, member)

static const cli_option options[] = {
    {.name = "out",
     .letter = 'O',
     .kind = CLI_TEXT,
     .offset = AT(output),
     .value = "FILE",
     .doc = "the model to write",
     .required = true},
    {.name = "input",
     .kind = CLI_LIST,
     .offset = AT(inputs),
     .value = "[NAME=]COLUMN[:SCALE]",
     .doc = "the column that goes into an input (NAME as Keras calls it, of each or of none: in "
            "order), "
            "and what its values are multiplied with first (image:1/255); repeatable; default: the "
            "only input column, as it is, and of several inputs their names"},
    {.name = "output",
     .kind = CLI_LIST,
     .offset = AT(outputs),
     .value = "[NAME=]TARGET",
     .doc = "what an output predicts: a target's name; repeatable; default: the layer's name"},
    {.name = "input-shape",
     .kind = CLI_LIST,
     .offset = AT(shapes),
     .value = "[NAME=]20x3",
     .doc = "the whole shape of an input whose length or size the file leaves open; repeatable"},
    {.name = NULL},
};

static co_status run(cli_job *cli, const void *options_) {
  const convert_options *o = options_;
  cohort_context *context;
  cohort_result *result = NULL;
  CO_RETURN_IF_FAILED(cli_library_open(&context, cli));
  const cohort_convert_options request = {.file = o->files.item[0],
                                          .output = o->output,
                                          .inputs = o->inputs.item,
                                          .input_count = o->inputs.count,
                                          .outputs = o->outputs.item,
                                          .output_count = o->outputs.count,
                                          .input_shapes = o->shapes.item,
                                          .input_shape_count = o->shapes.count,
                                          .force = o->common.force};
  cohort_status status = cohort_convert(context, &request, &result);
  return cli_library_end(cli, context, status, result);
}

const cli_verb cli_verb_convert = {
    .name = "convert",
    .usage = "FILE -O model.h5 [options]",
    .summary = "a model of Keras as one of Cohort",
    .details =
        "FILE: what model.save() of Keras 1 to 3 wrote, HDF5 (.h5, .hdf5) or an archive (.keras):\n"
        "Sequential and Functional models, of several inputs and outputs, too; a model that is a "
        "layer\n"
        "of it becomes its layers, MODEL.LAYER. The model scores the same. What an Embedding reads "
        "is\n"
        "a column of whole numbers, its rows.\n"
        "A softmax at the end makes a category of as many classes, called 0, 1, ...; a sigmoid of\n"
        "one unit a binary; else numbers. Images are columns of that type, what has\n"
        "one or two dimensions columns of vectors, row by row.\n"
        "\n"
        "It trains on by cohort train --init-from MODEL -c CONFIG: layers whose names and shapes "
        "are\n"
        "the model's begin with its weights, others anew, such as another head. Names begin with "
        "the\n"
        "column's (--input, --output); cohort render-config -m MODEL prints the config to begin "
        "with.\n"
        "\n"
        "A layer or an option that Cohort has no equal for is refused by its name (exit code 5), "
        "as is\n"
        "what would run code. Left out is what counts in training alone: initialisers, "
        "regularisers,\n"
        "constraints, dropout within recurrent layers.\n",
    .common = CLI_FORCE,
    .options = options,
    .options_size = sizeof(convert_options),
    .operand = "FILE",
    .min_operands = 1,
    .max_operands = 1,
    .operands = AT(files),
    .run = run,
};

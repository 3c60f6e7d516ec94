// SPDX-License-Identifier: Apache-2.0
// What layers make of sequences' shapes: padding is no feature, and lengths are of events.
#include <string.h>

#include "helpers.h"
#include "host/graph/layer.h"

static co_value input_of(rig *r, const char *name, co_dtype dtype, co_shape shape) {
  co_value out;
  OK(co_graph_add_input(r->graph, name, dtype, &shape, &out));
  return out;
}

// Layers that would take padding for events, or lengths for features.
static void what_mixes_padding_in_is_refused(void **unused) {
  (void)unused;
  static const char *const classes[] = {"Flatten", "BatchNormalization", "Dense", "LSTM", "LSTM"};
  const co_shape shapes[] = {{3, {CO_DIM_N, CO_DIM_T(0), 4}},
                             {3, {CO_DIM_N, CO_DIM_T(0), 4}},
                             {2, {CO_DIM_N, CO_DIM_T(0)}},
                             {2, {CO_DIM_N, CO_DIM_T(0)}},
                             {3, {CO_DIM_N, CO_DIM_T(0), CO_DIM_T(1)}}};
  rig r;
  rig_open(&r, &(setup){.backend = "ref", .real = CO_F32, .rows = 9});
  OK(co_graph_create(&r.graph, r.ctx));
  co_value in[2], out;
  in[1] = input_of(&r, "lengths", CO_I32, co_shape_make(1, CO_DIM_N));
  for (int i = 0; i < 5; i++) {
    const co_layer_class *class_ = co_layer_find(classes[i]);
    co_node *node;
    char name[2] = {(char)('a' + i), 0};
    void *options = co_arena_alloc(r.arena, 1, class_->options_size);
    const char *yaml = class_->fields[0].key && strcmp(classes[i], "BatchNormalization") != 0
                           ? "{units: 3}"
                           : "{}";
    OK(co_yaml_parse(&node, r.arena, "t", yaml, strlen(yaml), &r.problems));
    OK(co_fields_parse(options, class_->fields, node, "t", r.arena, &r.problems));
    in[0] = input_of(&r, name, CO_F32, shapes[i]);
    assert_int_equal(co_layer_apply(r.graph, class_, name, options, in, class_->inputs_min, &out),
                     CO_ERR_CONFIG);
    assert_non_null(strstr(co_error_last()->message, "input has shape (N, T0"));
  }
  co_error_clear();
  rig_free(&r);
}

// A softmax over events wants one number of each, and their lengths; over features it takes none.
static void softmax_knows_its_axis(void **unused) {
  (void)unused;
  static const struct {
    int64_t features, axis;
    int inputs;
    const char *message;
  } calls[] = {{4, 1, 2, "(rows, events, 1) is needed"},
               {1, 1, 1, "name `lengths`, too"},
               {4, -1, 2, "lengths are of events"},
               {4, 3, 1, "dimensions 1 to 2"},
               {4, 0, 1, "dimensions 1 to 2"},
               {4, -1, 1, NULL},
               {1, 1, 2, NULL}};
  rig r;
  rig_open(&r, &(setup){.backend = "ref", .real = CO_F32, .rows = 9});
  OK(co_graph_create(&r.graph, r.ctx));
  co_value in[2], out;
  in[1] = input_of(&r, "lengths", CO_I32, co_shape_make(1, CO_DIM_N));
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    const char name[2] = {(char)('a' + i), 0}, layer[2] = {(char)('A' + i), 0};
    const co_shape shape = co_shape_make(3, CO_DIM_N, CO_DIM_T(0), calls[i].features);
    in[0] = input_of(&r, name, CO_F32, shape);
    const co_status status = co_layer_apply(r.graph, co_layer_find("Softmax"), layer,
                                            &calls[i].axis, in, calls[i].inputs, &out);
    assert_int_equal(status, calls[i].message ? CO_ERR_CONFIG : CO_OK);
    if (calls[i].message)
      assert_non_null(strstr(co_error_last()->message, calls[i].message));
    else
      assert_true(co_shape_equal(co_value_shape(r.graph, out), &shape));
  }
  co_error_clear();
  rig_free(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(what_mixes_padding_in_is_refused),
                                     cmocka_unit_test(softmax_knows_its_axis)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

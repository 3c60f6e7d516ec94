// SPDX-License-Identifier: Apache-2.0
// Precisions: what is bf16 and what is not, masters and their mirror, exact resume, learning.
// Timeout: 240
#include "fashion.h"
#include "helpers.h"
#include "host/graph/loss/loss.h"
#include "host/plan/pass.h"
#include "kernels/bf16.h"

static const char *const backends[] = {"ref", "cpu"};

static const char network[] =
    "input_features:\n"
    "  - {name: image, type: image, encoder: {type: stacked_cnn, filters: [3, 4], output_size: 8,\n"
    "    batch_normalization: true, dropout: 0.2}}\n"
    "  - {name: x, type: vector, encoder: {type: mlp, sizes: [6]}}\n"
    "output_features:\n"
    "  - {name: label, type: category}\n"
    "  - {name: score, type: number}\n";

// ---- types -------------------------------------------------------------------------------------

static const co_plan_value *operand(const co_plan *plan, co_value value) {
  return &plan->values[value];
}

// Every operand of a plan by the rule of its kind.
static void check_types(const co_plan *plan) {
  for (int64_t i = 0; i < plan->op_count; i++) {
    const co_plan_op *op = &plan->ops[i];
    for (int side = 0; side < 2; side++)
      for (int k = 0; k < CO_OP_MAX_OPERANDS; k++) {
        co_value id = side ? op->out[k] : op->in[k];
        if (id == CO_NO_VALUE) continue;
        const co_plan_value *value = operand(plan, id);
        co_dtype type = value->info.desc.dtype;
        if (value->info.storage == CO_STORAGE_MIRROR) {
          assert_int_equal(type, CO_BF16);
          assert_int_equal(side, 0);
        } else if (value->info.storage != CO_STORAGE_ARENA || co_plan_is_output(plan, id)) {
          assert_int_not_equal(type, CO_BF16); // parameters, gradients, statistics, in- and outputs
        }
      }
    switch (op->desc.op) {
    case CO_OP_DENSE:
    case CO_OP_CONV2D:
      assert_int_equal(operand(plan, op->in[1])->info.storage, CO_STORAGE_MIRROR);
      assert_int_equal(op->desc.in[0].dtype, CO_BF16);
      break;
    case CO_OP_BATCH_NORM:
    case CO_OP_BATCH_NORM_INFERENCE:
      assert_int_equal(op->desc.in[0].dtype, CO_BF16);
      assert_int_equal(op->desc.out[0].dtype, CO_BF16);
      break;
    case CO_OP_DENSE_BACKWARD_WEIGHTS:
    case CO_OP_CONV2D_BACKWARD_WEIGHTS:
      assert_int_equal(op->desc.in[1].dtype, CO_BF16);
      assert_int_equal(op->desc.out[0].dtype, CO_F32);
      break;
    case CO_OP_DENSE_BACKWARD_DATA:
    case CO_OP_CONV2D_BACKWARD_DATA:
    case CO_OP_RELU_BACKWARD:
      assert_int_equal(op->desc.out[0].dtype, CO_BF16);
      break;
    default:
      break;
    }
  }
}

static int64_t activation_bytes(const co_plan *plan, co_dtype type) {
  int64_t bytes = 0;
  for (int64_t i = 0; i < plan->graph->value_count; i++) {
    const co_plan_value *value = &plan->values[i];
    if (strncmp(value->info.name, "score/", 6) == 0) continue; // a prediction, and its gradient
    if (value->info.storage == CO_STORAGE_ARENA && value->first >= 0 &&
        value->info.desc.shape.rank >= 2 && value->info.desc.dtype == type)
      bytes += (int64_t)value->bytes;
  }
  return bytes;
}

static void test_types(void **state) {
  (void)state;
  for (int b = 0; b < 2; b++) {
    setup s = {.backend = backends[b], .real = CO_F32, .rows = 8, .evaluation_rows = 8};
    rig wide, narrow;
    rig_make(&wide, &s, network);
    s.bf16 = true;
    rig_make(&narrow, &s, network);
    const co_plan *plan, *same;
    for (int64_t i = 0; (plan = co_program_plan(narrow.program, i)); i++) {
      if (plan->options.mode == CO_MODE_UPDATE) continue;
      check_types(plan);
      same = co_program_plan(wide.program, i);
      // Half the bytes, to the last one: nothing in float is left between the layers.
      if (b == 0 && plan->options.mode == CO_MODE_TRAIN)
        assert_int_equal(2 * activation_bytes(plan, CO_BF16), activation_bytes(same, CO_F32));
      assert_true(activation_bytes(plan, CO_BF16) > 0);
    }
    assert_null(wide.store->mirror);
    assert_non_null(narrow.store->mirror);
    rig_free(&wide);
    rig_free(&narrow);
  }
}

// Of a table the rows that are picked are bf16, not the table, nor its gradient; nothing is cast on
// the way.
static void test_tables(void **state) {
  (void)state;
  for (int b = 0; b < 2; b++) {
    rig r;
    rig_open(&r, &(setup){.backend = backends[b], .real = CO_F32, .bf16 = true, .rows = 8});
    OK(co_graph_create(&r.graph, r.ctx));
    const co_shape rows = co_shape_make(1, CO_DIM_N);
    co_value word, score = input(&r, "score", 1), weight = input(&r, "score.weight", 0);
    OK(co_graph_add_input(r.graph, "word", CO_I32, &rows, &word));
    co_value y = layer(&r, "Embedding", "table", "{input_dim: 4, output_dim: 5}", &word, 1);
    y = layer(&r, "Dense", "hidden", "{units: 6, activation: relu}", &y, 1);
    y = layer(&r, "Dense", "out", "{units: 1}", &y, 1);
    r.graph->layer = "score";
    OK(co_loss_emit(r.graph, co_loss_find("mean_squared_error"), NULL, "score", 1, y, score,
                    weight));
    r.graph->layer = NULL;
    rig_program(&r);
    const co_plan *plan = co_program_plan(r.program, 0);
    check_types(plan);
    int found = 0;
    for (int64_t i = 0; i < plan->op_count; i++) {
      const co_op_desc *desc = &plan->ops[i].desc;
      assert_int_not_equal(desc->op, CO_OP_CAST);
      if (desc->op != CO_OP_EMBEDDING && desc->op != CO_OP_EMBEDDING_BACKWARD) continue;
      bool backward = desc->op == CO_OP_EMBEDDING_BACKWARD;
      assert_int_equal(desc->in[1].dtype, backward ? CO_BF16 : CO_F32);
      assert_int_equal(desc->out[0].dtype, backward ? CO_F32 : CO_BF16);
      found++;
    }
    assert_int_equal(found, 2);
    batch data;
    batch_make(&r, &data, 8, 5);
    double before = train(&r, 0, &data, 0, 0.1), after = before;
    for (uint32_t step = 1; step < 20; step++)
      after = train(&r, 0, &data, step, 0.1);
    assert_true(after < before);
    batch_free(&r, &data);
    rig_free(&r);
  }
}

// An input section for a network in bf16: what it delivers is bf16, what it works on is not.
static void check_section(const co_plan *plan) {
  for (int64_t i = 0; i < plan->graph->output_count; i++) {
    assert_int_equal(operand(plan, plan->outputs[i])->info.desc.dtype, CO_BF16);
    assert_true(operand(plan, plan->outputs[i])->info.observed);
  }
  for (int64_t i = 0; i < plan->op_count; i++)
    for (int k = 0; k < CO_OP_MAX_OPERANDS; k++)
      if (plan->ops[i].in[k] != CO_NO_VALUE)
        assert_int_not_equal(plan->ops[i].desc.in[k].dtype, CO_BF16);
}

static void test_input_section(void **state) {
  (void)state;
  setup s = {.backend = "ref", .real = CO_F32, .bf16 = true, .rows = 8};
  const int64_t table_rows[2] = {5, 5};
  bool narrow[2] = {true, true};
  rig r;
  co_section *section;
  co_plan *plan;
  rig_make(&r, &s, network);
  OK(co_section_create(&section, r.model, table_rows));
  assert_int_equal(section->graph->output_count, 2);
  for (int trains = 0; trains < 2; trains++) {
    co_plan_options options = {.mode = trains ? CO_MODE_TRAIN : CO_MODE_INFER,
                               .shape = {.rows = 8},
                               .real = CO_F32,
                               .bf16 = true,
                               .narrow_outputs = narrow};
    OK(co_plan_create(&plan, section->graph, r.store, &options));
    check_section(plan);
    co_plan_free(plan);
  }
  bool *made = co_arena_alloc(r.arena, (size_t)r.graph->input_count, sizeof *made);
  assert_non_null(made);
  for (int64_t i = 0; i < r.graph->input_count; i++)
    made[i] = true;
  co_plan_options options = {.mode = CO_MODE_TRAIN,
                             .shape = {.rows = 8},
                             .real = CO_F32,
                             .bf16 = true,
                             .narrow_inputs = made};
  OK(co_plan_create(&plan, r.graph, r.store, &options));
  for (int64_t i = 0; i < r.graph->input_count; i++) {
    const co_plan_value *input = operand(plan, r.graph->inputs[i]);
    bool feature = strcmp(input->info.name, "image") == 0 || strcmp(input->info.name, "x") == 0;
    assert_int_equal(input->info.desc.dtype == CO_BF16, feature);
    for (int64_t k = 0; k < plan->op_count; k++)
      if (plan->ops[k].desc.op == CO_OP_CAST)
        assert_int_not_equal(plan->ops[k].in[0], r.graph->inputs[i]);
  }
  co_plan_free(plan);
  co_section_free(section);
  rig_free(&r);
}

// ---- the mirror --------------------------------------------------------------------------------

static void check_mirror(const rig *r) {
  const float *masters = r->store->param;
  const co_bf16 *mirror = r->store->mirror;
  int64_t count = co_store_elements(r->store);
  assert_true(count > 100);
  for (int64_t i = 0; i < count; i++)
    assert_int_equal(mirror[i], co_bf16_round(masters[i]));
}

static void test_mirror_follows(void **state) {
  (void)state;
  static const char *const optimizers[] = {"{sgd: {}}", "{sgd: {momentum: 0.9}}", "{adam: {}}",
                                           "{adamw: {weight_decay: 0.1}}"};
  for (int b = 0; b < 2; b++)
    for (size_t o = 0; o < 4; o++) {
      setup s = {.backend = backends[b],
                 .real = CO_F32,
                 .bf16 = true,
                 .rows = 8,
                 .evaluation_rows = 8,
                 .phase = {{.optimizer = optimizers[o]}}};
      rig r;
      batch data;
      rig_make(&r, &s, network);
      batch_make(&r, &data, 8, 3);
      double first = train(&r, 0, &data, 0, 0.05), last = first;
      check_mirror(&r); // by the optimizer
      for (uint32_t step = 1; step < 12; step++)
        last = train(&r, 0, &data, step, 0.02);
      check_mirror(&r);
      assert_true(last < first);
      int64_t entry = entry_find(&r, "label/logits/kernel");
      double *values = entry_read(&r, entry, CO_BLOCK_PARAM);
      for (int64_t i = 0; i < entry_count(&r, entry); i++)
        values[i] = 1 + (double)i * 0x1p-10;
      entry_write(&r, entry, CO_BLOCK_PARAM, values);
      OK(co_program_evaluate(r.program, data.inputs));
      check_mirror(&r); // by the cast
      batch_free(&r, &data);
      rig_free(&r);
    }
}

// A bias that something is added to before it is read gets its gradient in float, over micro-batches, too.
static void test_added_bias(void **state) {
  (void)state;
  static const char writing[] =
      "input_features: [{name: x}]\n"
      "output_features: [{name: words, decoder: {units: 4, max_size: 3, max_length: 3}}]\n";
  for (int b = 0; b < 2; b++) {
    setup s = {.backend = backends[b], .real = CO_F32, .rows = 4, .batch = {8}};
    rig r[2];
    for (int i = 0; i < 2; i++, s.bf16 = true) {
      batch data;
      rig_make(&r[i], &s, writing);
      batch_make(&r[i], &data, 8, 5);
      (void)train(&r[i], 0, &data, 1, 0);
      batch_free(&r[i], &data);
    }
    const int64_t entry = entry_find(&r[0], "words/logits/bias");
    assert_true(entry_difference(&r[1], &r[0], entry, CO_BLOCK_GRADIENT) < 0.02);
    assert_true(entry_largest(&r[0], entry, CO_BLOCK_GRADIENT) > 1e-3);
    for (int i = 0; i < 2; i++)
      rig_free(&r[i]);
  }
}

// A row's weight is dealt out among its tokens in float: thirds of bf16 are no thirds.
static void test_weights_of_tokens(void **state) {
  (void)state;
  static const char writing[] = "input_features: [{name: x}]\n"
                                "output_features: [{name: words, decoder: {units: 4}}]\n";
  setup s = {.backend = "ref", .real = CO_F32, .bf16 = true, .rows = 4};
  rig r;
  co_plan *plan;
  int count = 0;
  rig_make(&r, &s, writing);
  co_plan_options options = {
      .mode = CO_MODE_TRAIN, .shape = {.rows = 4}, .real = CO_F32, .bf16 = true};
  OK(co_plan_create(&plan, r.graph, r.store, &options));
  for (int64_t i = 0; i < plan->op_count; i++) {
    const co_plan_op *op = &plan->ops[i];
    if (op->desc.op != CO_OP_POOL_EVENTS_BACKWARD ||
        op->desc.in[CO_POOL_EVENTS_BACKWARD_dy].shape.dim[1] != 1) // of features: the context
      continue;
    assert_int_equal(op->desc.in[CO_POOL_EVENTS_BACKWARD_dy].dtype, CO_F32);
    assert_int_equal(op->desc.out[CO_POOL_EVENTS_BACKWARD_dx].dtype, CO_F32);
    count++;
  }
  assert_int_equal(count, 1);
  co_plan_free(plan);
  rig_free(&r);
}

// Gradients are those of float within what 8 bits allow.
static void test_gradients_are_close(void **state) {
  (void)state;
  static const char plain[] = "input_features:\n"
                              "  - {name: x, type: vector, encoder: {type: mlp, sizes: [16, 8]}}\n"
                              "output_features:\n"
                              "  - {name: label, type: category}\n";
  for (int b = 0; b < 2; b++) {
    setup s = {.backend = backends[b], .real = CO_F32, .rows = 32};
    rig wide, narrow;
    rig_make(&wide, &s, plain);
    s.bf16 = true;
    rig_make(&narrow, &s, plain);
    batch data, same;
    batch_make(&wide, &data, 32, 5);
    batch_make(&narrow, &same, 32, 5);
    double expected = train(&wide, 0, &data, 0, 0), loss = train(&narrow, 0, &same, 0, 0);
    assert_true(fabs(expected - loss) < 0.02 * expected);
    for (int64_t i = 0; i < wide.store->count; i++) {
      double off = entry_difference(&wide, &narrow, i, CO_BLOCK_GRADIENT);
      // Three layers forward and three back, each with roundings of 2^-8 of its operands. Of the
      // largest in the tensor itself: a gradient of zero is off by 1.
      assert_true(entry_largest(&wide, i, CO_BLOCK_GRADIENT) > 0);
      if (!(off < 12 * 0x1p-8)) fail_msg("%s: %g", wide.store->entries[i].info.name, off);
      assert_true(off > 0 || entry_count(&wide, i) == 1); // it is not float after all
    }
    batch_free(&wide, &data);
    batch_free(&narrow, &same);
    rig_free(&wide);
    rig_free(&narrow);
  }
}

// ---- runs --------------------------------------------------------------------------------------

static int train_bf16(const char *run, int64_t stop_at, const char *resume) {
  training t = {.run_dir = resume ? NULL : run,
                .stop_at = stop_at,
                .resume = resume,
                .records = "records",
                .device = "cpu"};
  if (!resume) {
    t.config = "c.yaml";
    t.dataset = "d.h5";
    t.set[0] = "trainer.precision=bf16";
  }
  return train_apart(&t);
}

static void test_resume_is_exact(void **state) {
  (void)state;
  make_images("d.h5", 60, 1);
  write_text("c.yaml", rich_config);
  assert_int_equal(train_bf16("whole", 0, NULL), 0);
  assert_true(file_has("whole/config.full.yaml", "precision: bf16"));
  for (int64_t step = 1; step < 8; step += 2) {
    assert_int_not_equal(train_bf16("run", step, NULL), 0);
    assert_int_equal(train_bf16(NULL, 0, "run"), 0);
    assert_string_equal(run_difference("whole", "run"), "");
    remove_tree("run");
  }
}

static void test_precision_is_part_of_a_run(void **state) {
  (void)state;
  make_images("d.h5", 60, 1);
  write_text("c.yaml", rich_config);
  assert_int_not_equal(train_bf16("run", 3, NULL), 0);
  training t = {.run_dir = "run", .resume = "run", .config = "c.yaml", .records = "records"};
  assert_int_equal(train_apart(&t), CO_ERR_CONFIG); // that file says nothing, which is tf32
  assert_true(file_has("records", "the config differs"));
  t.set[0] = "trainer.precision=bf16-mixed"; // another name of the same
  assert_int_equal(train_apart(&t), 0);
}

static void test_names(void **state) {
  (void)state;
  static const struct {
    const char *name, *same;
  } names[] = {{"trainer.precision=32-true", "trainer.precision=32"},
               {"trainer.precision=bf16-mixed", "trainer.precision=bf16"},
               {"trainer.learning_rate=0.02", "trainer.precision=tf32"}}; // the default
  static const char *const later[] = {"16", "fp16", "16-mixed", "64", "64-true"};
  make_images("d.h5", 60, 1);
  write_text("c.yaml", rich_config);
  for (int i = 0; i < 3; i++) {
    training t = {.run_dir = "a", .config = "c.yaml", .dataset = "d.h5", .set = {names[i].name}};
    assert_int_equal(train_apart(&t), 0);
    t.run_dir = "b";
    t.set[0] = names[i].same;
    assert_int_equal(train_apart(&t), 0);
    assert_string_equal(run_difference("a", "b"), "");
    remove_tree("a");
    remove_tree("b");
  }
  for (int i = 0; i < 5; i++) {
    char set[64];
    snprintf(set, sizeof set, "trainer.precision=%s", later[i]);
    training t = {
        .run_dir = "a", .config = "c.yaml", .dataset = "d.h5", .set = {set}, .records = "records"};
    assert_int_equal(train_apart(&t), CO_ERR_CONFIG);
    assert_true(file_has("records", "not there yet"));
    assert_true(file_has("records", "use tf32, 32 or bf16"));
  }
}

// Scores of one model in two precisions: nearly the same, and in float unless asked for.
static void test_scoring(void **state) {
  (void)state;
  make_images("d.h5", 60, 1);
  write_text("c.yaml", rich_config);
  assert_int_equal(train_bf16("run", 0, NULL), 0);
  static const char *const precisions[] = {NULL, "tf32", "32", "bf16", "16"};
  double loss[4];
  cohort_context *context;
  assert_int_equal(cohort_context_create(&context, &(cohort_context_options){.threads = 1}), 0);
  for (int i = 0; i < 5; i++) {
    cohort_evaluate_options options = {.model = "run",
                                       .dataset = "d.h5",
                                       .split = "train",
                                       .device = "cpu",
                                       .precision = precisions[i]};
    cohort_result *result;
    int status = cohort_evaluate(context, &options, &result);
    assert_int_equal(status, i < 4 ? 0 : CO_ERR_USAGE);
    const char *at = strstr(cohort_result_json(result), "\"log_loss\":");
    if (i < 4) loss[i] = strtod(at + strlen("\"log_loss\":"), NULL);
    cohort_result_free(result);
  }
  cohort_context_free(context);
  assert_true(loss[0] == loss[1] && loss[1] == loss[2]);
  assert_true(loss[3] != loss[0] && fabs(loss[3] - loss[0]) < 0.02);
}

static void test_fashion(void **state) {
  (void)state;
  if (!make_fashion("d.h5", 3000)) skip();
  write_text("c.yaml", fashion_config);
  training t = {.run_dir = "wide", .config = "c.yaml", .dataset = "d.h5", .device = "cpu"};
  assert_int_equal(train_apart(&t), 0);
  t.run_dir = "narrow";
  t.set[0] = "trainer.precision=bf16";
  assert_int_equal(train_apart(&t), 0);
  double wide = fashion_accuracy("wide"), narrow = fashion_accuracy("narrow");
  print_message("accuracy %.4f in float, %.4f in bf16\n", wide, narrow);
  assert_true(wide > 0.75);
  // Of 1000 rows; two such fractions differ by 0.018 (a standard deviation) by chance alone.
  assert_true(narrow > wide - 0.04);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_tables),
      cmocka_unit_test(test_input_section),
      cmocka_unit_test(test_mirror_follows),
      cmocka_unit_test(test_added_bias),
      cmocka_unit_test(test_weights_of_tokens),
      cmocka_unit_test(test_gradients_are_close),
      TRAINING_TEST(test_resume_is_exact),
      TRAINING_TEST(test_precision_is_part_of_a_run),
      TRAINING_TEST(test_names),
      TRAINING_TEST(test_scoring),
      TRAINING_TEST(test_fashion),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

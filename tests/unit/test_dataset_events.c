// SPDX-License-Identifier: Apache-2.0
// Labels: tsan
// Format version 2: events, joined tables, binary columns; and numbers as they are stored.
#include "tests/unit/dataset_fixture.h"

#include <pthread.h>

#include "datasets/writer.h"

// Three customers, of which the second has no events; five samples; two shops.
enum { CUSTOMERS = 3, SAMPLES = 5, EVENTS = 6, SHOPS = 2 };
static const int64_t customer[SAMPLES] = {0, 0, 2, 1, 2},
                     cutoff[SAMPLES] = {100, 300, 900, 500, 400},
                     offsets[CUSTOMERS + 1] = {0, 3, 3, EVENTS},
                     times[EVENTS] = {10, 200, 200, 50, 400, 800}, first[SAMPLES] = {0, 0, 4, 3, 3},
                     last[SAMPLES] = {1, 3, 6, 3, 4}, shop[CUSTOMERS] = {1, 0, 1};
static const float amounts[EVENTS] = {1, 2, 3, 4, 5, 6}, areas[SHOPS] = {10, 20};
static const int32_t items[EVENTS] = {0, 1, 1, -1, 0, 1}, buys[SAMPLES] = {1, 0, -1, 1, 0};

static co_h5 *begin_relational(co_context *ctx) {
  co_h5 *h = begin(ctx);
  OK(co_h5_set_int(h, "/", "version", 2));
  return h;
}

// A good file; `break_it` (may be NULL) then adds something bad. Left out: what `without` names.
static void build_relational(co_context *ctx, void (*break_it)(co_h5 *h), const char *without) {
  co_h5 *h = begin_relational(ctx);
  co_shape three = one(CUSTOMERS), five = one(SAMPLES), six = one(EVENTS), two = one(SHOPS),
           four = one(CUSTOMERS + 1);
#define PUT(path, shape, data)                                                                     \
  if (strcmp(path, without ? without : "") != 0)                                                   \
  OK(co_h5_write(h, path, CO_I64, shape, data, NULL, true))
  put(h, "/entities/customers/n", CO_F32, &three, numbers, "number", "input");
  put(h, "/entities/shops/area", CO_F32, &two, areas, "number", "input");
  OK(co_h5_write_strings(h, "/entities/shops/shop_id", keys, SHOPS));
  describe(h, "/entities/shops/shop_id", "text", "key");
  PUT("/entities/customers/shop", &three, shop);
  if (co_h5_exists(h, "/entities/customers/shop"))
    OK(co_h5_set_string(h, "/entities/customers/shop", "rows_of", "shops"));
  OK(co_h5_make_group(h, "/samples"));
  OK(co_h5_set_string(h, "/samples", "entity", "customers"));
  PUT("/samples/entity_row", &five, customer);
  PUT("/samples/as_of", &five, cutoff);
  put(h, "/samples/buys", CO_I32, &five, buys, "binary", "target");
  OK(co_h5_set_strings(h, "/samples/buys", "classes", words, 2));
  OK(co_h5_make_group(h, "/events/orders"));
  OK(co_h5_set_string(h, "/events/orders", "entity", "customers"));
  OK(co_h5_set_string(h, "/events/orders", "time", "time"));
  PUT("/events/orders/offsets", &four, offsets);
  OK(co_h5_write(h, "/events/orders/time", CO_I64, &six, times,
                 &(co_h5_storage){.chunk_rows = 2, .deflate = 1}, false));
  describe(h, "/events/orders/time", "number", "input");
  put(h, "/events/orders/n", CO_F32, &six, amounts, "number", "input");
  put_category(h, "/events/orders/item", items, EVENTS, words, 2, "input");
  PUT("/samples/orders.begin", &five, first);
  PUT("/samples/orders.end", &five, last);
#undef PUT
  if (break_it) break_it(h);
  OK(co_h5_close(h));
}

static void events_and_joined_tables_are_read(void **state) {
  fixture *f = *state;
  co_dataset *d;
  build_relational(f->ctx, NULL, NULL);
  opens(f, &d);
  const co_schema *schema = co_dataset_schema(d);
  static const co_table tables[] = {{"customers", CO_TABLE_ENTITY, CUSTOMERS, NULL, NULL},
                                    {"/samples", CO_TABLE_SAMPLES, SAMPLES, NULL, NULL},
                                    {"shops", CO_TABLE_ENTITY, SHOPS, NULL, NULL},
                                    {"orders", CO_TABLE_EVENTS, EVENTS, "customers", "time"}};
  assert_int_equal(schema->table_count, 4);
  for (int i = 0; i < 4; i++) {
    const co_table *table = co_schema_table(schema, tables[i].name);
    assert_ptr_equal(table, &schema->tables[i]);
    assert_int_equal(table->kind, tables[i].kind);
    assert_int_equal(table->rows, tables[i].rows);
    if (table->kind != CO_TABLE_EVENTS) continue;
    assert_string_equal(table->entity, "customers");
    assert_string_equal(table->time, "time");
  }
  assert_null(co_schema_table(schema, "samples"));
  static const struct {
    const char *name, *table;
  } columns[] = {{"n", "customers"},   {"buys", "/samples"}, {"area", "shops"},
                 {"shop_id", "shops"}, {"item", "orders"},   {"orders.n", "orders"},
                 {"time", "orders"}};
  assert_int_equal(schema->column_count, 7);
  for (int i = 0; i < 7; i++)
    assert_string_equal(co_schema_find(schema, columns[i].name)->table, columns[i].table);

  const void *data;
  int64_t rows;
  const int64_t *index, *begins, *ends;
  OK(co_dataset_column(d, "orders.n", &data, &rows, NULL));
  assert_int_equal(rows, EVENTS);
  assert_memory_equal(data, amounts, sizeof amounts);
  OK(co_dataset_ranges(d, "orders", &begins, &ends));
  assert_memory_equal(begins, first, sizeof first);
  assert_memory_equal(ends, last, sizeof last);
  OK(co_dataset_index(d, "customers", &index));
  assert_memory_equal(index, customer, sizeof customer);
  OK(co_dataset_index(d, "/samples", &index));
  assert_null(index);
  OK(co_dataset_index(d, "shops", &index));
  assert_memory_equal(index, ((int64_t[]){1, 1, 1, 0, 1}), 40);
  OK(co_dataset_column(d, "area", &data, &rows, &begins));
  assert_ptr_equal(begins, index);
  assert_int_equal(rows, SHOPS);
  float value[2];
  OK(co_dataset_gather(d, "area", (int64_t[]){3, 4}, 2, value));
  assert_true(value[0] == 10 && value[1] == 20);
  char key[8];
  OK(co_dataset_key(d, 3, key, sizeof key)); // the key of a shop names no sample
  assert_string_equal(key, "3");
  assert_false(warned(f->ctx, "not used"));

  // A sample has no one row of events, and nothing else has ranges.
  assert_int_equal(co_dataset_column(d, "item", &data, &rows, &index), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "'item' is of events 'orders'"));
  assert_int_equal(co_dataset_gather(d, "time", customer, 1, value), CO_ERR_DATA);
  assert_int_equal(co_dataset_index(d, "orders", &index), CO_ERR_DATA);
  assert_int_equal(co_dataset_ranges(d, "shops", &begins, &ends), CO_ERR_DATA);
  assert_int_equal(co_dataset_ranges(d, "carts", &begins, &ends), CO_ERR_DATA);
  co_dataset_close(d);
}

// A pointer for each sample, and events of the joined entity: a sample reaches them by that pointer.
static void samples_point_themselves(void **state) {
  fixture *f = *state;
  co_dataset *d;
  static const int64_t target[SAMPLES] = {1, 0, 1, 1, 0}, visits[SHOPS + 1] = {0, 4, EVENTS},
                       seen_from[SAMPLES] = {4, 0, 5, 4, 2}, seen_to[SAMPLES] = {6, 4, 6, 4, 3},
                       wrong[SAMPLES] = {4, 0, 5, 3, 2};
  for (int bad = 0; bad < 2; bad++) {
    co_h5 *h = begin_relational(f->ctx);
    co_shape five = one(SAMPLES), two = one(SHOPS), three = one(SHOPS + 1), six = one(EVENTS);
    put(h, "/entities/customers/n", CO_F32, &five, weights, "number", "input");
    put(h, "/entities/shops/area", CO_F32, &two, areas, "number", "input");
    OK(co_h5_write(h, "/samples/shop", CO_I64, &five, target, NULL, true));
    OK(co_h5_set_string(h, "/samples/shop", "rows_of", "shops"));
    OK(co_h5_set_string(h, "/samples", "entity", "customers"));
    OK(co_h5_make_group(h, "/events/visits"));
    OK(co_h5_set_string(h, "/events/visits", "entity", "shops"));
    OK(co_h5_write(h, "/events/visits/offsets", CO_I64, &three, visits, NULL, true));
    put(h, "/events/visits/n", CO_F32, &six, amounts, "number", "input");
    OK(co_h5_write(h, "/samples/visits.begin", CO_I64, &five, bad ? wrong : seen_from, NULL, true));
    OK(co_h5_write(h, "/samples/visits.end", CO_I64, &five, seen_to, NULL, true));
    OK(co_h5_close(h));
    if (bad) refused(f, "/samples/visits.begin", "those of row 1 of entity 'shops' are 4 to 6");
    if (bad) continue;
    opens(f, &d);
    const int64_t *index, *begins, *ends;
    OK(co_dataset_index(d, "shops", &index));
    assert_memory_equal(index, target, sizeof target);
    OK(co_dataset_index(d, "customers", &index));
    assert_null(index);
    OK(co_dataset_ranges(d, "visits", &begins, &ends));
    assert_memory_equal(begins, seen_from, sizeof seen_from);
    assert_null(co_schema_table(co_dataset_schema(d), "visits")->time);
    co_dataset_close(d);
  }
}

static void binary_columns_are_numbers_with_two_names(void **state) {
  fixture *f = *state;
  co_dataset *d;
  static const uint8_t truth[ROWS] = {0, 1, 1, 0, 1};
  static const double real[ROWS] = {0, 1, NAN, 1, 0};
  co_h5 *h = begin_relational(f->ctx);
  co_shape flat = one(ROWS);
  put(h, "/entities/e/a", CO_U8, &flat, truth, "binary", "input");
  put(h, "/entities/e/b", CO_F64, &flat, real, "binary", "target");
  put(h, "/entities/e/c", CO_I32, &flat, codes, "binary", "input");
  OK(co_h5_set_strings(h, "/entities/e/c", "classes", words, 2));
  OK(co_h5_close(h));
  opens(f, &d);
  const co_column *c = co_schema_find(co_dataset_schema(d), "c");
  assert_int_equal(c->type, CO_COLUMN_BINARY);
  assert_int_equal(c->dtype, CO_F32);
  assert_int_equal(c->shape.rank, 0);
  assert_int_equal(c->category_count, 2);
  assert_string_equal(c->categories[1], "yes");
  assert_string_equal(co_schema_find(co_dataset_schema(d), "a")->categories[1], "1");
  const int64_t all[ROWS] = {0, 1, 2, 3, 4};
  float got[ROWS];
  OK(co_dataset_gather(d, "a", all, ROWS, got));
  for (int i = 0; i < ROWS; i++)
    assert_true(got[i] == truth[i]);
  OK(co_dataset_gather(d, "b", all, ROWS, got));
  assert_true(got[1] == 1 && isnan(got[2]) && got[4] == 0);
  OK(co_dataset_gather(d, "c", all, ROWS, got));
  assert_true(got[1] == 1 && isnan(got[2]) && got[4] == 0);
  co_numbers view;
  OK(co_dataset_numbers(d, "c", &view));
  assert_true(isnan(co_numbers_at(&view, 2)) && co_numbers_at(&view, 3) == 1);
  co_dataset_close(d);
}

// Values near 1e9 that differ by 1/8 and by 1: float32 cannot tell them apart.
static void numbers_keep_their_digits(void **state) {
  fixture *f = *state;
  co_dataset *d;
  double real[ROWS];
  int64_t whole[ROWS];
  int32_t small[ROWS];
  static const uint8_t byte[ROWS] = {1, 255, 3, 4, 5};
  for (int i = 0; i < ROWS; i++) {
    real[i] = i == 3 ? NAN : 1e9 + i / 8.;
    whole[i] = ((int64_t)1 << 52) + i;
    small[i] = 1000000001 + i;
  }
  co_h5 *h = begin(f->ctx); // version 1 will do
  co_shape flat = one(ROWS);
  put(h, "/entities/e/a", CO_F64, &flat, real, "number", "input");
  OK(co_h5_write(h, "/entities/e/b", CO_F64, &flat, real,
                 &(co_h5_storage){.chunk_rows = 2, .deflate = 1}, true));
  describe(h, "/entities/e/b", "number", "input");
  put(h, "/entities/e/c", CO_I64, &flat, whole, "number", "input");
  put(h, "/entities/e/d", CO_I32, &flat, small, "number", "input");
  put(h, "/entities/e/e", CO_U8, &flat, byte, "number", "input");
  put(h, "/entities/e/f", CO_F32, &flat, numbers, "number", "input");
  put_category(h, "/entities/e/y", codes, ROWS, words, 2, "target");
  OK(co_h5_close(h));
  opens(f, &d);
  static const struct {
    const char *name;
    co_dtype dtype;
    double pivot, step;
  } cases[] = {{"a", CO_F64, 1e9, 0.125},
               {"b", CO_F64, 1e9, 0.125},
               {"c", CO_I64, 0x1p52, 1},
               {"d", CO_I32, 1000000001, 1}};
  const int64_t all[ROWS] = {0, 1, 2, 3, 4};
  co_numbers view;
  float got[2 * ROWS], plain[ROWS];
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    OK(co_dataset_numbers(d, cases[k].name, &view));
    assert_int_equal(view.dtype, cases[k].dtype);
    assert_int_equal(view.rows, ROWS);
    co_numbers_deliver(&view, cases[k].pivot, 1, ROWS - 1, got, 2);
    for (int i = 1; i < ROWS; i++) {
      double value = co_numbers_at(&view, i);
      if (k < 2 && i == 3)
        assert_true(isnan(value) && isnan(got[2 * (i - 1)]));
      else
        assert_true(value == cases[k].pivot + i * cases[k].step &&
                    got[2 * (i - 1)] == (float)(i * cases[k].step));
    }
    // Without a pivot it is what is delivered, to the bit.
    co_numbers_deliver(&view, 0, 0, ROWS, got, 1);
    OK(co_dataset_gather(d, cases[k].name, all, ROWS, plain));
    assert_memory_equal(got, plain, sizeof plain);
    assert_true(k == 2 || got[1] == got[0]); // and has lost its digits
  }
  OK(co_dataset_numbers(d, "e", &view));
  assert_int_equal(view.dtype, CO_U8);
  assert_true(co_numbers_at(&view, 1) == 255);
  OK(co_dataset_numbers(d, "f", &view));
  assert_int_equal(view.dtype, CO_F32);
  assert_true(co_numbers_at(&view, 4) == -5);
  assert_int_equal(co_dataset_numbers(d, "y", &view), CO_ERR_DATA);
  assert_int_equal(co_dataset_numbers(d, "z", &view), CO_ERR_DATA);
  co_dataset_close(d);
}

static void *ask_for_numbers(void *argument) {
  co_numbers view;
  bool good = co_dataset_numbers(argument, "time", &view) == CO_OK;
  return good && co_numbers_at(&view, EVENTS - 1) == 800 ? argument : NULL;
}

static void several_threads_read_numbers(void **state) {
  fixture *f = *state;
  co_dataset *d;
  pthread_t thread[4];
  build_relational(f->ctx, NULL, NULL);
  opens(f, &d);
  for (int i = 0; i < 4; i++)
    assert_int_equal(pthread_create(&thread[i], NULL, ask_for_numbers, d), 0);
  for (int i = 0; i < 4; i++) {
    void *result;
    pthread_join(thread[i], &result);
    assert_ptr_equal(result, d);
  }
  co_dataset_close(d);
}

// ---- bad files ---------------------------------------------------------------------------------

#define WRITES(name, path, rows, ...)                                                              \
  static void name(co_h5 *h) {                                                                     \
    static const int64_t values[] = {__VA_ARGS__};                                                 \
    co_shape shape = one(rows);                                                                    \
    OK(co_h5_write(h, path, CO_I64, &shape, values, NULL, true));                                  \
  }
#define ORDERS "/events/orders/"
WRITES(short_offsets, ORDERS "offsets", 3, 0, 3, 6)
WRITES(late_offsets, ORDERS "offsets", 4, 1, 3, 3, 6)
WRITES(falling_offsets, ORDERS "offsets", 4, 0, 4, 3, 6)
WRITES(long_offsets, ORDERS "offsets", 4, 0, 3, 3, 7)
WRITES(short_begin, "/samples/orders.begin", 4, 0, 0, 4, 3)
WRITES(negative_begin, "/samples/orders.begin", 5, 0, -1, 4, 3, 3)
WRITES(foreign_begin, "/samples/orders.begin", 5, 0, 0, 2, 3, 3)
WRITES(huge_begin, "/samples/orders.begin", 5, 0, 0, INT64_MAX, 3, 3)
WRITES(foreign_end, "/samples/orders.end", 5, 1, 4, 6, 3, 4)
WRITES(early_end, "/samples/orders.end", 5, 1, 3, 3, 3, 4)
WRITES(late_end, "/samples/orders.end", 5, 2, 3, 6, 3, 4)
WRITES(far_pointer, "/entities/customers/shop", 3, 0, 1, 2)
WRITES(negative_pointer, "/entities/customers/shop", 3, 0, -1, 1)
WRITES(short_pointer, "/entities/customers/shop", 2, 0, 1)
static void points_to_shops(co_h5 *h) {
  OK(co_h5_set_string(h, "/entities/customers/shop", "rows_of", "shops"));
}
static void far(co_h5 *h) {
  far_pointer(h);
  points_to_shops(h);
}
static void negative(co_h5 *h) {
  negative_pointer(h);
  points_to_shops(h);
}
static void too_short(co_h5 *h) {
  short_pointer(h);
  points_to_shops(h);
}
static void other_entity(co_h5 *h) {
  OK(co_h5_set_string(h, "/entities/customers/shop", "rows_of", "stores"));
}
static void own_entity(co_h5 *h) {
  OK(co_h5_set_string(h, "/entities/customers/shop", "rows_of", "customers"));
}
static void second_pointer(co_h5 *h) {
  static const int64_t rows[SAMPLES] = {0};
  co_shape five = one(SAMPLES);
  OK(co_h5_write(h, "/samples/where", CO_I64, &five, rows, NULL, true));
  OK(co_h5_set_string(h, "/samples/where", "rows_of", "shops"));
}
static void second_hop(co_h5 *h) {
  static const int64_t rows[EVENTS] = {0};
  co_shape six = one(EVENTS);
  OK(co_h5_write(h, ORDERS "where", CO_I64, &six, rows, NULL, true));
  OK(co_h5_set_string(h, ORDERS "where", "rows_of", "shops"));
}
static void float_pointer(co_h5 *h) {
  co_shape three = one(CUSTOMERS);
  OK(co_h5_write(h, "/entities/customers/shop", CO_F32, &three, numbers, NULL, true));
  points_to_shops(h);
}
static void target_of_events(co_h5 *h) {
  OK(co_h5_set_string(h, ORDERS "n", "role", "target"));
}
static void weight_of_shops(co_h5 *h) {
  OK(co_h5_set_string(h, "/entities/shops/area", "role", "weight"));
}
static void nobodys_events(co_h5 *h) {
  co_shape six = one(EVENTS);
  put(h, "/events/visits/n", CO_F32, &six, amounts, "number", "input");
}
static void same_table_name(co_h5 *h) {
  OK(co_h5_make_group(h, "/events/shops"));
  OK(co_h5_set_string(h, "/events/shops", "entity", "customers"));
}
static void no_columns(co_h5 *h) {
  OK(co_h5_make_group(h, "/events/visits"));
  OK(co_h5_set_string(h, "/events/visits", "entity", "customers"));
}
static void uneven(co_h5 *h) {
  co_shape five = one(5);
  put(h, ORDERS "z", CO_F32, &five, amounts, "number", "input");
}
static void unknown_time(co_h5 *h) {
  OK(co_h5_set_string(h, "/events/orders", "time", "when"));
}
static void category_as_time(co_h5 *h) {
  OK(co_h5_set_string(h, "/events/orders", "time", "item"));
}
static void unsorted(co_h5 *h) {
  static const double bad[EVENTS] = {10, 200, 100, 50, 400, 800};
  co_shape six = one(EVENTS);
  put(h, ORDERS "z", CO_F64, &six, bad, "number", "ignore");
  OK(co_h5_set_string(h, "/events/orders", "time", "z"));
}
static void timeless(co_h5 *h) {
  static const double bad[EVENTS] = {10, 200, 300, 50, NAN, 800};
  co_shape six = one(EVENTS);
  put(h, ORDERS "z", CO_F64, &six, bad, "number", "ignore");
  OK(co_h5_set_string(h, "/events/orders", "time", "z"));
}
static void bad_binary(co_h5 *h) {
  static const int32_t bad[SAMPLES] = {0, 1, 2, 0, 0};
  co_shape five = one(SAMPLES);
  put(h, "/samples/z", CO_I32, &five, bad, "binary", "target");
}
static void missing_as_minus_one(co_h5 *h) {
  static const float bad[SAMPLES] = {0, -1, 0, 0, 0};
  co_shape five = one(SAMPLES);
  put(h, "/samples/z", CO_F32, &five, bad, "binary", "target");
}
static void one_class(co_h5 *h) {
  OK(co_h5_set_strings(h, "/samples/buys", "classes", words, 1));
}
static void equal_classes(co_h5 *h) {
  static const char *const same[2] = {"yes", "yes"};
  OK(co_h5_set_strings(h, "/samples/buys", "classes", same, 2));
}
static void old_version(co_h5 *h) {
  OK(co_h5_set_int(h, "/", "version", 1));
}

static void broken_files_are_refused_with_the_place(void **state) {
  fixture *f = *state;
  static const struct {
    void (*break_it)(co_h5 *h);
    const char *without, *object, *text;
  } cases[] = {
      {short_offsets, ORDERS "offsets", ORDERS "offsets", "has 3 rows, not 4"},
      {late_offsets, ORDERS "offsets", ORDERS "offsets", "row 0 holds 1, not 0"},
      {falling_offsets, ORDERS "offsets", ORDERS "offsets", "row 2 holds 3, less than"},
      {long_offsets, ORDERS "offsets", ORDERS "offsets", "ends at 7, but there are 6 events"},
      {NULL, ORDERS "offsets", ORDERS "offsets", "is missing"},
      {short_begin, "/samples/orders.begin", "/samples/orders.begin", "has 4 rows"},
      {negative_begin, "/samples/orders.begin", "/samples/orders.begin",
       "row 1 and its end give the events -1 to 3, but those of row 0 of entity 'customers' are 0 "
       "to 3"},
      {foreign_begin, "/samples/orders.begin", "/samples/orders.begin", "row 2 and its end"},
      {huge_begin, "/samples/orders.begin", "/samples/orders.begin", "row 2 and its end"},
      {foreign_end, "/samples/orders.end", "/samples/orders.begin", "events 0 to 4"},
      {early_end, "/samples/orders.end", "/samples/orders.begin", "events 4 to 3"},
      {late_end, "/samples/orders.end", ORDERS "time", "row 1 holds 200, but sample 0"},
      {NULL, "/samples/orders.end", "/samples/orders.end", "is missing"},
      {NULL, "/samples/orders.begin", "/samples/orders.begin", "is missing"},
      {far, "/entities/customers/shop", "/entities/customers/shop", "row 2 holds 2"},
      {negative, "/entities/customers/shop", "/entities/customers/shop", "row 1 holds -1"},
      {too_short, "/entities/customers/shop", "/entities/customers/shop", "has 2 rows"},
      {float_pointer, "/entities/customers/shop", "/entities/customers/shop", "list of integers"},
      {other_entity, NULL, "/entities/customers/shop", "no entity 'stores'"},
      {own_entity, NULL, "/entities/customers/shop", "samples' own entity 'customers'"},
      {second_pointer, NULL, "/samples/where", "points to entity 'shops' as well"},
      {second_hop, NULL, ORDERS "where", "'rows_of' cannot stand here"},
      {target_of_events, NULL, ORDERS "n", "role target cannot stand here"},
      {weight_of_shops, NULL, "/entities/shops/area", "role weight cannot stand here"},
      {nobodys_events, NULL, "/events/visits", "attribute 'entity'"},
      {same_table_name, NULL, "/events/shops", "another table has this name"},
      {no_columns, NULL, "/events/visits", "no columns"},
      {uneven, NULL, ORDERS "z", "has 5 rows, but other columns have 6"},
      {unknown_time, NULL, "/events/orders", "no number column 'when'"},
      {category_as_time, NULL, "/events/orders", "no number column 'item'"},
      {unsorted, NULL, ORDERS "z", "row 2 holds 100, before"},
      {timeless, NULL, ORDERS "z", "row 4: a time is missing"},
      {bad_binary, NULL, "/samples/z", "row 2 holds 2"},
      {missing_as_minus_one, NULL, "/samples/z", "row 1 holds -1"},
      {one_class, NULL, "/samples/buys", "'classes' must hold two texts"},
      {equal_classes, NULL, "/samples/buys", "'classes' must hold two texts"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    build_relational(f->ctx, cases[i].break_it, cases[i].without);
    refused(f, cases[i].object, cases[i].text);
    assert_null(strchr(co_error_last()->message, '\n'));
  }
}

static void version_1_knows_no_binary_columns_and_no_events(void **state) {
  fixture *f = *state;
  co_dataset *d;
  build_relational(f->ctx, old_version, NULL);
  refused(f, "/entities/customers/shop", "attribute 'role' is missing"); // a column there
  co_h5 *h = begin(f->ctx);
  co_shape flat = one(ROWS);
  put(h, "/entities/e/n", CO_I32, &flat, codes, "binary", "input");
  OK(co_h5_close(h));
  refused(f, "/entities/e/n", "columns of type binary need format version 2");
  h = begin(f->ctx);
  put(h, "/entities/e/n", CO_F32, &flat, numbers, "number", "input");
  put(h, "/events/t/n", CO_F32, &flat, numbers, "number", "input");
  OK(co_h5_close(h));
  opens(f, &d);
  assert_true(warned(f->ctx, "events are not used"));
  assert_int_equal(co_dataset_schema(d)->table_count, 2);
  co_dataset_close(d);
}

static void what_no_sample_reaches_is_left_alone(void **state) {
  fixture *f = *state;
  co_dataset *d;
  co_h5 *h = begin_relational(f->ctx);
  co_shape flat = one(ROWS);
  put(h, "/entities/e/n", CO_F32, &flat, numbers, "number", "input");
  put(h, "/entities/other/n", CO_F32, &flat, numbers, "number", "input");
  OK(co_h5_make_group(h, "/samples"));
  OK(co_h5_set_string(h, "/samples", "entity", "e"));
  OK(co_h5_make_group(h, "/events/t"));
  OK(co_h5_set_string(h, "/events/t", "entity", "other"));
  OK(co_h5_close(h));
  opens(f, &d);
  assert_true(warned(f->ctx, "entity 'other' is not used"));
  assert_true(warned(f->ctx, "events 't' are not used: they are of 'other'"));
  assert_int_equal(co_dataset_schema(d)->column_count, 1);
  co_dataset_close(d);
}

// ---- writing -----------------------------------------------------------------------------------

static co_status write_relational(co_context *ctx, int64_t changed_end, char fingerprint[65]) {
  co_status status = CO_OK;
  co_dataset_writer *w = NULL;
  int64_t end[SAMPLES];
  memcpy(end, last, sizeof end);
  end[1] = changed_end;
  co_column n = {.name = "n", .dtype = CO_F32}, t = {.name = "time", .dtype = CO_I64};
  co_column b = {.name = "buys",
                 .type = CO_COLUMN_BINARY,
                 .role = CO_ROLE_TARGET,
                 .dtype = CO_I32,
                 .category_count = 2,
                 .categories = words};
  CO_TRY(co_dataset_writer_create(&w, ctx, "d.h5"));
  CO_TRY(co_dataset_writer_column(w, "customers", &n, CUSTOMERS));
  CO_TRY(co_dataset_writer_rows(w, CUSTOMERS, weights));
  CO_TRY(co_dataset_writer_pointer(w, "customers", "shop", "shops", CUSTOMERS, shop));
  CO_TRY(co_dataset_writer_column(w, "shops", &n, SHOPS));
  CO_TRY(co_dataset_writer_rows(w, SHOPS, areas));
  CO_TRY(co_dataset_writer_events(w, "orders", "customers", "time", CUSTOMERS, offsets));
  CO_TRY(co_dataset_writer_column(w, "orders", &t, EVENTS));
  CO_TRY(co_dataset_writer_rows(w, EVENTS, times));
  CO_TRY(co_dataset_writer_samples(w, "customers", SAMPLES, customer, cutoff, NULL));
  CO_TRY(co_dataset_writer_ranges(w, "orders", SAMPLES, first, end));
  CO_TRY(co_dataset_writer_column(w, NULL, &b, SAMPLES));
  CO_TRY(co_dataset_writer_rows(w, SAMPLES, buys));
  CO_TRY(co_dataset_writer_commit(w, fingerprint));
cleanup:
  co_dataset_writer_free(w);
  return status;
}

static void what_is_written_is_read(void **state) {
  fixture *f = *state;
  co_dataset *d;
  char fingerprint[65], other[65];
  OK(write_relational(f->ctx, 3, fingerprint));
  opens(f, &d);
  assert_string_equal(co_dataset_fingerprint(d), fingerprint);
  const int64_t *begins, *ends, *index;
  OK(co_dataset_ranges(d, "orders", &begins, &ends));
  assert_memory_equal(begins, first, sizeof first);
  assert_memory_equal(ends, last, sizeof last);
  OK(co_dataset_index(d, "shops", &index));
  assert_memory_equal(index, ((int64_t[]){1, 1, 1, 0, 1}), 40);
  float area, bought[SAMPLES];
  OK(co_dataset_gather(d, "shops.n", (int64_t[]){3}, 1, &area));
  assert_true(area == 10);
  OK(co_dataset_gather(d, "buys", (int64_t[]){0, 1, 2, 3, 4}, SAMPLES, bought));
  assert_true(bought[0] == 1 && bought[1] == 0 && isnan(bought[2]));
  assert_string_equal(co_schema_find(co_dataset_schema(d), "buys")->categories[1], "yes");
  co_dataset_close(d);

  OK(write_relational(f->ctx, 2, other)); // what samples see is part of the identity
  assert_string_not_equal(fingerprint, other);
  assert_int_equal(write_relational(f->ctx, 4, other), CO_ERR_DATA); // not theirs: not published
  opens(f, &d);
  OK(co_dataset_ranges(d, "orders", &begins, &ends));
  assert_int_equal(ends[1], 2);
  co_dataset_close(d);
}

static void failing_allocations_leave_nothing(void **state) {
  fixture *f = *state;
  co_dataset *d;
  char fingerprint[65];
  OK(write_relational(f->ctx, 3, fingerprint));
  int64_t nth = 1;
  for (;; nth++) {
    co_alloc_fail_at(f->ctx, nth, false);
    if (co_dataset_open(&d, f->ctx, "d.h5") == CO_OK) break;
    assert_int_equal(co_error_last()->status, CO_ERR_MEMORY);
    assert_int_equal(co_alloc_get_stats(f->ctx).live_blocks, 0);
  }
  co_alloc_fail_at(f->ctx, 0, false);
  assert_true(nth > 20);
  co_dataset_close(d);
  for (nth = 1;; nth++) {
    co_alloc_fail_at(f->ctx, nth, false);
    if (write_relational(f->ctx, 3, fingerprint) == CO_OK) break;
    assert_int_equal(co_error_last()->status, CO_ERR_MEMORY);
    assert_int_equal(co_alloc_get_stats(f->ctx).live_blocks, 0);
    assert_int_equal(count_files("d.h5"), 1);
  }
  co_alloc_fail_at(f->ctx, 0, false);
}

static void plain_tables_stay_version_1(void **state) {
  fixture *f = *state;
  co_dataset_writer *w;
  co_h5 *h;
  int64_t version;
  char fingerprint[65];
  co_column n = {.name = "n", .dtype = CO_F32};
  OK(co_dataset_writer_create(&w, f->ctx, "d.h5"));
  OK(co_dataset_writer_column(w, "e", &n, ROWS));
  OK(co_dataset_writer_rows(w, ROWS, weights));
  OK(co_dataset_writer_samples(w, "e", ROWS, NULL, NULL, NULL));
  assert_int_equal(co_dataset_writer_ranges(w, "e", ROWS, first, last), CO_ERR_INTERNAL);
  OK(co_dataset_writer_commit(w, fingerprint));
  co_dataset_writer_free(w);
  // As the first version made it: fingerprints are kept in runs and models.
  assert_string_equal(fingerprint,
                      "a0b9a82aec72c733fe4d537232be76dce9c418f847c521a863e78d45483c99a0");
  OK(co_h5_open(&h, f->ctx, "d.h5", CO_ERR_DATA));
  OK(co_h5_get_int(h, "/", "version", &version));
  assert_int_equal(version, 1);
  OK(co_h5_close(h));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(events_and_joined_tables_are_read),
      DATA_TEST(samples_point_themselves),
      DATA_TEST(binary_columns_are_numbers_with_two_names),
      DATA_TEST(numbers_keep_their_digits),
      DATA_TEST(several_threads_read_numbers),
      DATA_TEST(broken_files_are_refused_with_the_place),
      DATA_TEST(version_1_knows_no_binary_columns_and_no_events),
      DATA_TEST(what_no_sample_reaches_is_left_alone),
      DATA_TEST(what_is_written_is_read),
      DATA_TEST(failing_allocations_leave_nothing),
      DATA_TEST(plain_tables_stay_version_1),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

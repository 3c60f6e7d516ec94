// SPDX-License-Identifier: Apache-2.0
// Erasing customers: what goes, what stays, and the bytes of the file.
#include "tests/unit/data_fixture.h"

#include <math.h>

#include "datasets/dataset.h"
#include "datasets/erase.h"
#include "datasets/writer.h"

#define OK(call)                                                                                   \
  do {                                                                                             \
    if ((call) != CO_OK) fail_msg("%s: %s", #call, co_error_last()->message);                      \
  } while (0)

enum { CUSTOMERS = 4, SHOPS = 3, EVENTS = 7, SAMPLES = 5 };
static const char *const cities[] = {"Berlin", "Erasmusville", "Paris", "Nowhere"};
static const double secret = 1234567.890625; // of the second customer alone

// Four customers; the second alone has the city Erasmusville, a note and the second shop. "Nowhere" is
// nobody's.
static void write_customers(fixture *f, bool key_of_samples) {
  static const char *const keys[] = {"key-ann", "key-bob-unique", "key-cid", "key-dan"};
  static const char *const sample_keys[] = {"key-ann", "key-bob-unique", "key-bob-unique",
                                            "key-cid", "key-dan"};
  static const char *const notes[] = {"", "a text of bob alone", "hello", "hello"};
  static const int32_t city[] = {0, 1, 2, 0};
  static const double spend[] = {1, 1234567.890625, 3, NAN};
  static const float area[] = {10, 77.125f, 30}, buys[] = {0, 1, 0, 1, 0};
  static const int64_t shop[] = {0, 1, 2, 0}, offsets[] = {0, 2, 5, 5, 7};
  static const int64_t item[] = {100, 101, 900001, 900002, 900003, 102, 103};
  static const int64_t row[] = {0, 1, 1, 2, 3}, begin[] = {0, 2, 2, 5, 5}, end[] = {2, 4, 5, 5, 6};
  static const int64_t as_of[] = {11, 12, 13, 14, 15};
  static const uint8_t split[] = {0, 0, 1, 2, 0};
  co_dataset_writer *w;
  int64_t id;
  const co_column number = {.name = "spend", .dtype = CO_F64},
                  category = {.name = "city",
                              .type = CO_COLUMN_CATEGORY,
                              .dtype = CO_I32,
                              .categories = cities,
                              .category_count = 4},
                  space = {.name = "area", .dtype = CO_F32},
                  items = {.name = "item", .dtype = CO_I64},
                  target = {.name = "buys",
                            .type = CO_COLUMN_BINARY,
                            .role = CO_ROLE_TARGET,
                            .dtype = CO_F32};
  OK(co_dataset_writer_create(&w, f->ctx, "d.h5"));
  if (!key_of_samples)
    OK(co_dataset_writer_texts(w, "customers", "id", CO_ROLE_KEY, keys, CUSTOMERS));
  OK(co_dataset_writer_column(w, "customers", &number, CUSTOMERS));
  OK(co_dataset_writer_rows(w, CUSTOMERS, spend));
  OK(co_dataset_writer_column(w, "customers", &category, CUSTOMERS));
  OK(co_dataset_writer_rows(w, CUSTOMERS, city));
  OK(co_dataset_writer_open_texts(w, "customers", "note", CO_ROLE_INPUT, CUSTOMERS, &id));
  OK(co_dataset_writer_append_texts(w, id, CUSTOMERS, notes));
  OK(co_dataset_writer_column(w, "shops", &space, SHOPS));
  OK(co_dataset_writer_rows(w, SHOPS, area));
  OK(co_dataset_writer_pointer(w, "customers", "shop", "shops", CUSTOMERS, shop));
  OK(co_dataset_writer_events(w, "orders", "customers", NULL, CUSTOMERS, offsets));
  OK(co_dataset_writer_column(w, "orders", &items, EVENTS));
  OK(co_dataset_writer_rows(w, EVENTS, item));
  OK(co_dataset_writer_samples(w, "customers", SAMPLES, row, as_of, split));
  if (key_of_samples) OK(co_dataset_writer_texts(w, NULL, "id", CO_ROLE_KEY, sample_keys, SAMPLES));
  OK(co_dataset_writer_column(w, NULL, &target, SAMPLES));
  OK(co_dataset_writer_rows(w, SAMPLES, buys));
  OK(co_dataset_writer_ranges(w, "orders", SAMPLES, begin, end));
  OK(co_dataset_writer_source(w, "schema", "tables: {}"));
  OK(co_dataset_writer_source(w, "recipe", "files: of key-bob-unique"));
  OK(co_dataset_writer_commit(w, NULL));
  co_dataset_writer_free(w);
}

static co_status erase(fixture *f, const char *const *keys, int count, bool allow_missing,
                       co_erase_result *result) {
  co_arena *arena;
  co_dictionary wanted = {0};
  OK(co_arena_create(&arena, f->ctx));
  OK(co_dictionary_create(&wanted, f->ctx));
  for (int i = 0; i < count; i++)
    OK(co_dictionary_add(&wanted, keys[i], strlen(keys[i]), 1, NULL));
  co_status status = co_dataset_erase(result, f->ctx, arena, "d.h5", &wanted, allow_missing);
  co_dictionary_free(&wanted);
  co_arena_free(arena);
  return status;
}

// Whether the file has these bytes anywhere.
static bool has_bytes(const void *needle, size_t size) {
  size_t length;
  bool found = false;
  unsigned char *bytes = read_bytes("d.h5", &length);
  for (size_t i = 0; !found && i + size <= length; i++)
    found = !memcmp(bytes + i, needle, size);
  free(bytes);
  return found;
}

#define HAS_TEXT(text) has_bytes(text, sizeof text - 1)

// What shows that the second customer was there.
static int traces(void) {
  const int64_t items[] = {900001, 900002, 900003};
  const float area = 77.125f;
  return HAS_TEXT("key-bob-unique") + HAS_TEXT("a text of bob alone") + HAS_TEXT("Erasmusville") +
         has_bytes(&secret, sizeof secret) + has_bytes(items, sizeof items) +
         has_bytes(&area, sizeof area);
}

static void rest_is_as_before(fixture *f) {
  co_dataset *d;
  OK(co_dataset_open(&d, f->ctx, "d.h5"));
  static const int64_t all[] = {0, 1, 2};
  static const char *const keys[] = {"key-ann", "key-cid", "key-dan"};
  static const char *const left[] = {"Berlin", "Paris", "Nowhere"};
  const int64_t *rows, *index, *begin, *end;
  const void *data;
  const char *const *notes;
  int64_t count;
  int32_t city[3];
  float buys[3], area[3];
  char key[32];
  assert_int_equal(co_dataset_rows(d), 3);
  OK(co_dataset_gather(d, "city", all, 3, city));
  const co_column *c = co_schema_find(co_dataset_schema(d), "city");
  assert_int_equal(c->category_count, 3);
  for (int i = 0; i < 3; i++) {
    OK(co_dataset_key(d, i, key, sizeof key));
    assert_string_equal(key, keys[i]);
    assert_string_equal(c->categories[i], left[i]);
  }
  assert_true(city[0] == 0 && city[1] == 1 && city[2] == 0);
  OK(co_dataset_gather(d, "buys", all, 3, buys));
  assert_true(buys[0] == 0 && buys[1] == 1 && buys[2] == 0);
  OK(co_dataset_gather(d, "area", all, 3, area)); // by the pointer
  assert_true(area[0] == 10 && area[1] == 30 && area[2] == 10);
  OK(co_dataset_texts(d, "note", &notes, &count, &index));
  assert_string_equal(notes[1], "hello");
  OK(co_dataset_ranges(d, "orders", &begin, &end));
  OK(co_dataset_column(d, "item", &data, &count, NULL));
  const float *items = data;
  assert_int_equal(count, 4);
  assert_true(end[0] - begin[0] == 2 && items[begin[0]] == 100 && begin[1] == end[1] &&
              end[2] - begin[2] == 1 && items[begin[2]] == 102);
  OK(co_dataset_split(d, CO_SPLIT_TEST, &rows, &count));
  assert_true(count == 1 && rows[0] == 1);
  assert_true(co_dataset_as_of(d)[1] == 14);
  assert_string_equal(co_dataset_recipe(d), "tables: {}");
  co_dataset_close(d);
}

static void a_customer_leaves_no_bytes(void **state) {
  fixture *f = *state;
  static const char *const bob[] = {"key-bob-unique"};
  co_erase_result result;
  for (int of_samples = 0; of_samples < 2; of_samples++) {
    write_customers(f, of_samples);
    assert_int_equal(traces(), 6);
    OK(erase(f, bob, 1, false, &result));
    assert_int_equal(traces(), 0);
    assert_true(result.samples == 2 && result.samples_left == 3);
    assert_int_equal(result.rows, 2); // customer and shop
    assert_int_equal(result.events, 3);
    assert_int_equal(result.categories, 1);
    rest_is_as_before(f);
    assert_int_equal(count_files("d.h5"), 1);
  }
}

static void mistakes_change_nothing(void **state) {
  fixture *f = *state;
  static const char *const some[] = {"key-bob-unique", "key-eve"}, *const all[] = {
                                                                       "key-ann", "key-bob-unique",
                                                                       "key-cid", "key-dan"};
  co_erase_result result;
  size_t length, after;
  write_customers(f, false);
  unsigned char *before = read_bytes("d.h5", &length);
  assert_int_equal(erase(f, some, 2, false, &result), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "1 of the 2 keys"));
  assert_null(strstr(co_error_last()->message, "eve")); // keys do not get into logs
  assert_int_equal(erase(f, all, 4, false, &result), CO_ERR_DATA);
  assert_non_null(strstr(co_error_last()->message, "nothing would be left"));
  co_io_fail_at(f->ctx, 5, true, 28 /* ENOSPC */);
  assert_int_equal(erase(f, some, 1, false, &result), CO_ERR_IO);
  co_io_fail_at(f->ctx, 0, false, 0);
  OK(erase(f, some + 1, 1, true, &result)); // nobody
  assert_int_equal(result.samples, 0);
  unsigned char *now = read_bytes("d.h5", &after);
  assert_true(after == length && !memcmp(before, now, length));
  free(now);
  free(before);
  OK(erase(f, some, 2, true, &result));
  assert_int_equal(traces(), 0);
  assert_int_equal(count_files("d.h5"), 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(a_customer_leaves_no_bytes),
      DATA_TEST(mistakes_change_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

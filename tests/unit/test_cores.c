// SPDX-License-Identifier: Apache-2.0
// How many cores a process may use, from files as Linux writes them.
#include "tests/unit/data_fixture.h"

#include <math.h>
#include <unistd.h>

#include "host/core/cores.h"
#include "host/core/load.h"

static void put(const char *path, const char *text) {
  write_bytes(path, text, strlen(text));
}

// A process in `groups` with the mounts of `mounts`, below the folder "r".
static double quota(const char *groups, const char *mounts) {
  double out = -1;
  put("r/proc/self/cgroup", groups);
  put("r/proc/self/mountinfo", mounts);
  bool found = co_cores_quota(&out, "r");
  assert_int_equal(found, out > 0);
  return out;
}

static const char unified[] =
    "22 1 0:20 / /proc rw - proc proc rw\n"
    "30 24 0:26 / /v2 rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
static const char legacy[] =
    "31 24 0:27 / /v1/cpuset rw - cgroup cgroup rw,cpuset\n"
    "32 24 0:28 / /v1/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n";

static void the_least_quota_counts(void **state) {
  (void)state;
  assert_int_equal(system("mkdir -p r/proc/self r/v2/pod/box r/v2/free"), 0);
  put("r/v2/pod/cpu.max", "150000 100000\n");
  put("r/v2/pod/box/cpu.max", "max 100000\n");
  put("r/v2/free/cpu.max", "max 100000\n");
  assert_true(quota("0::/pod/box\n", unified) == 1.5); // of the group above
  assert_true(quota("0::/pod\n", unified) == 1.5);
  assert_true(quota("0::/free\n", unified) == 0);
  assert_true(quota("0::/\n", unified) == 0);
  put("r/v2/pod/box/cpu.max", "50000 100000\n");
  assert_true(quota("1:name=systemd:/x\n0::/pod/box\n", unified) == 0.5);
  put("r/v2/pod/box/cpu.max", "nonsense\n");
  assert_true(quota("0::/pod/box\n", unified) == 1.5);
  put("r/v2/cpu.max", "400000 100000\n"); // a container sees its own files at the top
  assert_true(quota("0::/\n", unified) == 4);
  assert_true(quota("0::/../../elsewhere\n", unified) == 4);
  assert_true(quota("", unified) == 0);
  assert_true(quota("nonsense\n:\n", unified) == 0);
  assert_true(quota("0::/pod\n", "") == 0);
  double out;
  assert_false(co_cores_quota(&out, "none"));
}

static void version_one_has_two_files(void **state) {
  (void)state;
  assert_int_equal(system("mkdir -p r/proc/self r/v1/cpu,cpuacct/docker/abc"), 0);
  put("r/v1/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  put("r/v1/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  put("r/v1/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "250000\n");
  put("r/v1/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
  assert_true(quota("9:cpuset:/\n8:cpu,cpuacct:/docker/abc\n", legacy) == 2.5);
  assert_true(quota("9:cpuset:/docker/abc\n8:cpu,cpuacct:/\n", legacy) == 0);
  // The mount shows the group from within: its path is below the mount's root, or from elsewhere.
  put("r/v1/cpu,cpuacct/cpu.cfs_quota_us", "300000\n");
  const char inside[] =
      "32 24 0:28 /docker/xyz /v1/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n";
  assert_true(quota("8:cpu,cpuacct:/docker/xyz\n", inside) == 3);
  assert_true(quota("8:cpu,cpuacct:/docker/xyz/docker/abc\n", inside) == 2.5);
  assert_true(quota("8:cpu,cpuacct:/docker/xyzabc\n", inside) == 3);
}

static void this_machine_has_cores(void **state) {
  (void)state;
  co_cores cores;
  co_cores_find(&cores);
  assert_true(cores.machine >= 1 && cores.affinity >= 1 && cores.usable >= 1);
  assert_true(cores.usable <= cores.affinity);
}

// What this process works is not others'.
static void others_use_a_share(void **state) {
  (void)state;
  const double cores = (double)sysconf(_SC_NPROCESSORS_ONLN);
  const co_load begun = {.time = 5, .machine = 100, .own = 7};
  const co_load half = {.time = 7, .machine = 100 + cores + 1, .own = 8};
  const co_load alone = {.time = 7, .machine = 101, .own = 8.25}; // clocks of ticks
  const co_load untold = {.time = 7, .machine = -1, .own = 8};
  co_load now;
  assert_true(co_load_of_others(&begun, &half) == 0.5);
  assert_true(co_load_of_others(&begun, &alone) == 0);
  assert_true(isnan(co_load_of_others(&begun, &untold)));
  co_load_look(&now);
  assert_true(now.own > 0 && now.machine > now.own);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      DATA_TEST(the_least_quota_counts), DATA_TEST(version_one_has_two_files),
      DATA_TEST(this_machine_has_cores), DATA_TEST(others_use_a_share)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}

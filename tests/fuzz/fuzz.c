/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"

#include <fcntl.h>
#include <locale.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define INPUT_MAX (4 * 1024 * 1024)

static void
init_target (void)
{
  setlocale (LC_ALL, "C.UTF-8");
  g_log_set_always_fatal (G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  if (fuzz_target.init != NULL)
    fuzz_target.init ();
}

static GPtrArray *
make_seeds (void)
{
  GPtrArray *seeds = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);

  if (fuzz_target.seeds != NULL)
    fuzz_target.seeds (seeds);
  return seeds;
}

/* Memory of exactly this size, so that a read beyond it is seen. */
static gboolean
run_target (const guint8 *bytes, gsize length)
{
  g_autofree guint8 *copy = g_malloc (MAX (length, 1));

  if (length > 0)
    memcpy (copy, bytes, length);
  return fuzz_target.run (copy, length);
}

#ifdef BANGER_LIBFUZZER

int LLVMFuzzerInitialize (int *argc, char ***argv);
int LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t length);
size_t LLVMFuzzerCustomMutator (uint8_t *bytes, size_t length, size_t room, unsigned int seed);
size_t LLVMFuzzerMutate (uint8_t *bytes, size_t length, size_t room);

/* The seeds that no file holds go where BANGER_FUZZ_SEEDS says: libFuzzer is told of that folder,
 * and reads it after this. */
int
LLVMFuzzerInitialize (int *argc, char ***argv)
{
  const char *folder = g_getenv ("BANGER_FUZZ_SEEDS");
  g_autoptr (GPtrArray) seeds = NULL;

  init_target ();
  seeds = make_seeds ();
  for (guint i = 0; folder != NULL && i < seeds->len; i++) {
    g_autofree char *name = g_strdup_printf ("seed-%u", i);
    g_autofree char *path = g_build_filename (folder, name, NULL);
    gsize length = 0;
    const char *bytes = g_bytes_get_data (seeds->pdata[i], &length);

    if (!g_file_set_contents (path, bytes, (gssize)length, NULL))
      return 1;
  }
  return 0;
}

int
LLVMFuzzerTestOneInput (const uint8_t *bytes, size_t length)
{
  run_target (bytes, length);
  return 0;
}

size_t
LLVMFuzzerCustomMutator (uint8_t *bytes, size_t length, size_t room, unsigned int seed)
{
  g_autoptr (GByteArray) mutated = g_byte_array_new ();

  length = LLVMFuzzerMutate (bytes, length, room);
  if (fuzz_target.mend == NULL)
    return length;
  g_byte_array_append (mutated, bytes, (guint)length);
  fuzz_target.mend (mutated);
  length = MIN (mutated->len, room);
  memcpy (bytes, mutated->data, length);
  return length;
}

#else

typedef struct {
  guint seconds;
  guint32 seed;
  guint8 *saved; /* a file in memory: its length, then the input */
  GPtrArray *corpus;
  guint64 runs, taken;
} Fuzz;

static void
run_one (Fuzz *self, const guint8 *bytes, gsize length)
{
  guint64 saved_length = length;

  if (self->saved != NULL && length <= INPUT_MAX) {
    if (length > 0)
      memcpy (self->saved + sizeof saved_length, bytes, length);
    memcpy (self->saved, &saved_length, sizeof saved_length);
  }
  self->runs++;
  self->taken += run_target (bytes, length) ? 1 : 0;
}

static guint
below (GRand *random, guint limit)
{
  return limit > 0 ? g_rand_int (random) % limit : 0;
}

/* Numbers that lengths and offsets break on. */
static guint64
pick_number (GRand *random)
{
  static const guint64 numbers[]
      = { 0,      1,       3,          4,           0x7f,       0xff,        0x7fff,
          0xffff, 0x10000, G_MAXINT32, G_MAXUINT32, G_MAXINT64, G_MAXUINT64, G_MAXUINT64 - 63 };

  return below (random, 4) == 0 ? g_rand_int (random)
                                : numbers[below (random, G_N_ELEMENTS (numbers))];
}

/* A piece of another input, or of this one. */
static void
insert_piece (Fuzz *self, GRand *random, GByteArray *bytes)
{
  gsize length = 0;
  const guint8 *other
      = g_bytes_get_data (self->corpus->pdata[below (random, self->corpus->len)], &length);
  guint from = below (random, (guint)length);
  guint n = below (random, MIN ((guint)length - from, 512) + 1);
  guint at = below (random, bytes->len + 1);
  g_autofree guint8 *tail = g_memdup2 (bytes->data + at, bytes->len - at);
  guint tail_length = bytes->len - at;

  g_byte_array_set_size (bytes, at);
  g_byte_array_append (bytes, other + from, n);
  g_byte_array_append (bytes, tail, tail_length);
}

static void
mutate_once (Fuzz *self, GRand *random, GByteArray *bytes)
{
  static const guint widths[] = { 1, 2, 4, 8 };
  static const char liked[] = "\0\xff\x80/.709-\n=1";
  /* Headers are short: half of all changes go into the first kilobyte. */
  guint at = below (random, below (random, 2) == 0 ? MIN (bytes->len, 1024) : bytes->len);
  guint64 number = pick_number (random);
  guint width = widths[below (random, G_N_ELEMENTS (widths))];

  if (bytes->len == 0) {
    insert_piece (self, random, bytes);
    return;
  }
  switch (below (random, 8)) {
  case 0:
    bytes->data[at] ^= (guint8)(1u << below (random, 8));
    break;
  case 1:
    bytes->data[at] = (guint8)g_rand_int (random);
    break;
  case 2:
    bytes->data[at] = (guint8)liked[below (random, sizeof liked - 1)];
    break;
  case 3:
    g_byte_array_remove_range (bytes, at, 1 + below (random, MIN (bytes->len - at, 64)));
    break;
  case 4:
    memcpy (bytes->data + at, &number, MIN (width, bytes->len - at));
    break;
  case 5:
    g_byte_array_set_size (bytes, at);
    break;
  default:
    insert_piece (self, random, bytes);
  }
}

static void
fuzz_on (Fuzz *self)
{
  g_autoptr (GRand) random = g_rand_new_with_seed (self->seed);
  gint64 end = g_get_monotonic_time () + self->seconds * G_USEC_PER_SEC;

  while (g_get_monotonic_time () < end) {
    g_autoptr (GByteArray) bytes = g_byte_array_new ();
    gsize length = 0;
    const guint8 *from
        = g_bytes_get_data (self->corpus->pdata[below (random, self->corpus->len)], &length);

    g_byte_array_append (bytes, from, (guint)length);
    for (guint n = 1 + below (random, 4); n > 0; n--)
      mutate_once (self, random, bytes);
    if (fuzz_target.mend != NULL)
      fuzz_target.mend (bytes);
    run_one (self, bytes->data, bytes->len);
  }
}

static void
add_file (Fuzz *self, const char *path)
{
  g_autoptr (GError) error = NULL;
  char *bytes = NULL;
  gsize length = 0;

  if (!g_file_get_contents (path, &bytes, &length, &error)) {
    g_printerr ("%s\n", error->message);
    exit (2);
  }
  g_ptr_array_add (self->corpus, g_bytes_new_take (bytes, length));
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *)a, *(const char *const *)b);
}

static void
add_folder (Fuzz *self, const char *path)
{
  g_autoptr (GDir) folder = g_dir_open (path, 0, NULL);
  g_autoptr (GPtrArray) paths = g_ptr_array_new_with_free_func (g_free);
  const char *name = NULL;

  while (folder != NULL && (name = g_dir_read_name (folder)) != NULL)
    g_ptr_array_add (paths, g_build_filename (path, name, NULL));
  g_ptr_array_sort (paths, compare_names);
  for (guint i = 0; i < paths->len; i++)
    add_file (self, paths->pdata[i]);
}

static void
save_in (Fuzz *self, const char *path)
{
  int fd = open (path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  if (fd < 0 || ftruncate (fd, sizeof (guint64) + INPUT_MAX) < 0) {
    perror (path);
    exit (2);
  }
  self->saved
      = mmap (NULL, sizeof (guint64) + INPUT_MAX, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  g_assert_true (self->saved != MAP_FAILED);
  close (fd);
}

static void
take_argument (Fuzz *self, const char *text)
{
  if (g_str_has_prefix (text, "-seconds="))
    self->seconds = (guint)atoi (strchr (text, '=') + 1);
  else if (g_str_has_prefix (text, "-seed="))
    self->seed = (guint32)strtoul (strchr (text, '=') + 1, NULL, 10);
  else if (g_str_has_prefix (text, "-save="))
    save_in (self, strchr (text, '=') + 1);
  else if (g_file_test (text, G_FILE_TEST_IS_DIR))
    add_folder (self, text);
  else
    add_file (self, text);
}

int
main (int argc, char **argv)
{
  Fuzz self = { .seed = 1 };
  guint n_files = 0;

  init_target ();
  self.corpus = g_ptr_array_new_with_free_func ((GDestroyNotify)g_bytes_unref);
  for (int i = 1; i < argc; i++)
    take_argument (&self, argv[i]);
  n_files = self.corpus->len;
  if (n_files != 1 || self.seconds > 0) {
    g_autoptr (GPtrArray) seeds = make_seeds ();

    for (guint i = 0; i < seeds->len; i++)
      g_ptr_array_add (self.corpus, g_bytes_ref (seeds->pdata[i]));
  }
  if (self.corpus->len == 0) {
    g_printerr ("%s: no corpus\n", fuzz_target.name);
    return 2;
  }
  for (guint i = 0; i < self.corpus->len; i++) {
    gsize length = 0;
    const guint8 *bytes = g_bytes_get_data (self.corpus->pdata[i], &length);

    run_one (&self, bytes, length);
  }
  fuzz_on (&self);
  g_print ("%s: seed %u, %" G_GUINT64_FORMAT " inputs, %" G_GUINT64_FORMAT " taken\n",
           fuzz_target.name, self.seed, self.runs, self.taken);
  if (self.runs > 1 && self.taken == 0) {
    g_printerr ("%s: took nothing\n", fuzz_target.name);
    return 1;
  }
  g_ptr_array_unref (self.corpus);
  return 0;
}

#endif

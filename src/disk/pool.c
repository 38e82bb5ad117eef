/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "pool.h"

#ifdef __has_feature
#define HAS_ASAN __has_feature (address_sanitizer)
#elif defined __SANITIZE_ADDRESS__
#define HAS_ASAN 1
#else
#define HAS_ASAN 0
#endif

#if HAS_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)
#define ASAN_UNPOISON_MEMORY_REGION(at, size)
#endif

#define CHUNK_SIZE (64u << 10)

void
banger_pool_init (BangerPool *pool)
{
  *pool = (BangerPool){ .chunks = g_ptr_array_new_with_free_func (g_free) };
}

void
banger_pool_clear (BangerPool *pool)
{
  for (guint i = 0; i < pool->chunks->len; i++)
    ASAN_UNPOISON_MEMORY_REGION (pool->chunks->pdata[i], CHUNK_SIZE);
  g_clear_pointer (&pool->chunks, g_ptr_array_unref);
}

static gsize
steps_of (gsize size)
{
  return (size + BANGER_POOL_STEP - 1) / BANGER_POOL_STEP;
}

gpointer
banger_pool_take (BangerPool *pool, gsize size)
{
  gsize steps = steps_of (size), whole = steps * BANGER_POOL_STEP;
  gpointer *list = NULL;
  guint8 *piece = NULL;

  g_assert (size > 0 && size <= BANGER_POOL_PIECE_MAX);
  list = &pool->given_back[steps - 1];
  if (*list != NULL) {
    piece = *list;
    ASAN_UNPOISON_MEMORY_REGION (piece, whole);
    *list = *(gpointer *)(gpointer)piece;
    return piece;
  }
  if (pool->left < whole) {
    pool->next = g_malloc (CHUNK_SIZE);
    pool->left = CHUNK_SIZE;
    g_ptr_array_add (pool->chunks, pool->next);
    ASAN_POISON_MEMORY_REGION (pool->next, CHUNK_SIZE);
  }
  piece = pool->next;
  ASAN_UNPOISON_MEMORY_REGION (piece, whole);
  pool->next += whole;
  pool->left -= whole;
  return piece;
}

void
banger_pool_give_back (BangerPool *pool, gpointer piece, gsize size)
{
  gsize steps = steps_of (size);

  *(gpointer *)piece = pool->given_back[steps - 1];
  pool->given_back[steps - 1] = piece;
  ASAN_POISON_MEMORY_REGION (piece, steps * BANGER_POOL_STEP);
}

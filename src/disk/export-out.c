/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "export-out.h"

#include "common/common.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define CHUNK (256u << 10)
#define PIPE_SIZE (1 << 20)
#define GZIP_WINDOW (15 + 16) /* of zlib's: 32 KiB, with gzip's header */
#define GZIP_LEVEL 6
#define ZSTD_LEVEL 3

struct _BangerExportPump {
  int target, output; /* the pipe's end that is read */
  BangerDiskCompression compression;
  z_stream gzip;
  ZSTD_CCtx *zstd;
  guint8 *in, *out;
  guint64 bytes;
  GError *error;
  GThread *thread;
};

static gboolean
set_write_error (int errnum, GError **error)
{
  if (errnum == EPIPE || errnum == ECONNRESET)
    banger_set_error (error, BANGER_ERROR_FAILED, NULL, "who reads it has gone", NULL,
                      "the export cannot be written");
  else
    banger_set_error_errno (error, errnum, NULL, "the export cannot be written");
  return FALSE;
}

gboolean
banger_export_write (int fd, const void *data, gsize length, GError **error)
{
  return banger_write_whole (fd, data, length) || set_write_error (errno, error);
}

static gboolean
put (BangerExportPump *pump, gsize length)
{
  pump->bytes += length;
  return banger_export_write (pump->target, pump->out, length, &pump->error);
}

static gboolean
put_gzip (BangerExportPump *pump, gsize length)
{
  int how = length == 0 ? Z_FINISH : Z_NO_FLUSH;

  pump->gzip.next_in = pump->in;
  pump->gzip.avail_in = length;
  do {
    pump->gzip.next_out = pump->out;
    pump->gzip.avail_out = CHUNK;
    deflate (&pump->gzip, how);
    if (!put (pump, CHUNK - pump->gzip.avail_out))
      return FALSE;
  } while (pump->gzip.avail_out == 0);
  return TRUE;
}

static gboolean
put_zstd (BangerExportPump *pump, gsize length)
{
  ZSTD_inBuffer input = { pump->in, length, 0 };
  ZSTD_EndDirective how = length == 0 ? ZSTD_e_end : ZSTD_e_continue;
  size_t left = 0;

  do {
    ZSTD_outBuffer output = { pump->out, CHUNK, 0 };

    left = ZSTD_compressStream2 (pump->zstd, &output, &input, how);
    if (ZSTD_isError (left)) {
      banger_set_error (&pump->error, BANGER_ERROR_FAILED, NULL, ZSTD_getErrorName (left), NULL,
                        "the export cannot be compressed");
      return FALSE;
    }
    if (!put (pump, output.pos))
      return FALSE;
  } while (how == ZSTD_e_end ? left > 0 : input.pos < input.size);
  return TRUE;
}

/* @length bytes that came; 0: that was all. */
static gboolean
take (BangerExportPump *pump, gsize length)
{
  switch (pump->compression) {
  case BANGER_DISK_GZIP:
    return put_gzip (pump, length);
  case BANGER_DISK_ZSTD:
    return put_zstd (pump, length);
  default:
    pump->bytes += length;
    return banger_export_write (pump->target, pump->in, length, &pump->error);
  }
}

static gpointer
run (gpointer data)
{
  BangerExportPump *pump = data;
  ssize_t n = 0;

  do {
    n = TEMP_FAILURE_RETRY (read (pump->output, pump->in, CHUNK));
    if (n < 0)
      banger_set_error_errno (&pump->error, errno, NULL, "the export cannot be read");
  } while (n >= 0 && take (pump, n) && n > 0);
  banger_clear_fd (&pump->output); /* who still writes is told */
  return NULL;
}

BangerExportPump *
banger_export_pump_new (int target, BangerDiskCompression compression, int *input, GError **error)
{
  BangerExportPump *pump = NULL;
  int ends[2];

  if (pipe2 (ends, O_CLOEXEC) < 0) {
    banger_set_error_errno (error, errno, NULL, "no pipe can be made");
    return NULL;
  }
  fcntl (ends[0], F_SETPIPE_SZ, PIPE_SIZE); /* else it is a smaller one */
  pump = g_new0 (BangerExportPump, 1);
  pump->target = target;
  pump->output = ends[0];
  pump->compression = compression;
  pump->in = g_malloc (CHUNK);
  pump->out = g_malloc (CHUNK);
  if (compression == BANGER_DISK_GZIP)
    deflateInit2 (&pump->gzip, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
  if (compression == BANGER_DISK_ZSTD) {
    pump->zstd = ZSTD_createCCtx ();
    ZSTD_CCtx_setParameter (pump->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter (pump->zstd, ZSTD_c_checksumFlag, 1);
  }
  *input = ends[1];
  pump->thread = g_thread_new ("export", run, pump);
  return pump;
}

gboolean
banger_export_pump_end (BangerExportPump *pump, guint64 *bytes, GError **error)
{
  GError *failure = NULL;

  g_thread_join (pump->thread);
  failure = pump->error;
  *bytes = pump->bytes;
  if (pump->compression == BANGER_DISK_GZIP)
    deflateEnd (&pump->gzip);
  ZSTD_freeCCtx (pump->zstd);
  g_free (pump->in);
  g_free (pump->out);
  g_free (pump);
  if (failure != NULL)
    g_propagate_error (error, failure);
  return failure == NULL;
}

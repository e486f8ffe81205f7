/* A disk whose every sync takes longer: preloaded into a server, it waits SLOW_DISK_MICROS behind each fsync and fdatasync. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

typedef int (*sync_function)(int);

static void wait_longer(void) {
  const char *text = getenv("SLOW_DISK_MICROS");
  long micros = text == NULL ? 0 : strtol(text, NULL, 10);
  struct timespec rest = {micros / 1000000, (micros % 1000000) * 1000};
  while (nanosleep(&rest, &rest) != 0) {
  }
}

static int slowed(const char *name, int file) {
  int result = ((sync_function)dlsym(RTLD_NEXT, name))(file);
  wait_longer();
  return result;
}

int fsync(int file) { return slowed("fsync", file); }

int fdatasync(int file) { return slowed("fdatasync", file); }

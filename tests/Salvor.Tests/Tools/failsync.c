/*
 * Loaded into an app: while the file named by FAILSYNC exists, no write-ahead log can be synced, as on a failing disk. A sync of any other
 * file takes SLOWSYNC milliseconds, as on a busy disk.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_log(int file)
{
    char link[64], target[4096];
    ssize_t length;

    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, target, sizeof target);
    return length >= 4 && memcmp(target + length - 4, "-wal", 4) == 0;
}

static int fails(int file)
{
    const char *flag = getenv("FAILSYNC"), *slow = getenv("SLOWSYNC");

    if (slow != NULL && !is_log(file))
        usleep(1000 * (useconds_t)atoi(slow));
    return flag != NULL && access(flag, F_OK) == 0 && is_log(file);
}

int fsync(int file)
{
    if (fails(file)) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}

int fdatasync(int file)
{
    if (fails(file)) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(file);
}

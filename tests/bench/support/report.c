/* What a run cost: from /proc of the server, and of our own. */
#include "load.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

double load_own_cpu(void)
{
    struct rusage r;

    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1e9 +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e3;
}

static bool read_file(const char *path, char *text, size_t room)
{
    FILE *f = fopen(path, "r");
    size_t len;

    if (f == NULL)
        return false;
    len = fread(text, 1, room - 1, f);
    text[len] = '\0';
    fclose(f);
    return len > 0;
}

/* Of all its threads, in ns, where the kernel says; else by the tick. */
static double cpu_of(int process)
{
    char path[300], text[1024];
    unsigned long user, system;
    double sum = 0;
    DIR *threads;

    snprintf(path, sizeof(path), "/proc/%d/task", process);
    threads = opendir(path);
    for (struct dirent *d; threads != NULL && (d = readdir(threads)) != NULL;) {
        snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", process,
                 d->d_name);
        if (d->d_name[0] != '.' && read_file(path, text, sizeof(text)))
            sum += strtod(text, NULL);
    }
    if (threads != NULL)
        closedir(threads);
    if (sum > 0)
        return sum;
    snprintf(path, sizeof(path), "/proc/%d/stat", process);
    if (!read_file(path, text, sizeof(text)) ||
        sscanf(strrchr(text, ')'),
               ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &system) != 2)
        return 0;
    return (double)(user + system) * 1e9 / (double)sysconf(_SC_CLK_TCK);
}

struct spent load_spent(int process)
{
    struct spent s = {0};
    char path[64], text[1024];
    unsigned long pages;

    if (process == 0)
        return s;
    s.cpu_ns = cpu_of(process);
    snprintf(path, sizeof(path), "/proc/%d/statm", process);
    if (read_file(path, text, sizeof(text)) &&
        sscanf(text, "%*u %lu", &pages) == 1)
        s.memory = (double)pages * (double)sysconf(_SC_PAGESIZE);
    return s;
}

void load_report(struct load *l)
{
    double seconds = (double)(wire_now() - l->start) / 1e9;
    double own = load_own_cpu() - l->own_cpu_ns;
    struct spent now = load_spent(l->plan.server);
    double units = (double)(l->observers > 0 ? l->told : l->done);

    printf("{\"done\": %.0f, \"seconds\": %.4f, \"server_us\": %.4f, "
           "\"own_us\": %.4f, \"lost\": %llu, \"again\": %llu, "
           "\"errors\": %llu, \"stray\": %llu",
           units, seconds,
           units > 0 ? (now.cpu_ns - l->at_start.cpu_ns) / units / 1e3 : 0,
           units > 0 ? own / units / 1e3 : 0, (unsigned long long)l->lost,
           (unsigned long long)l->again, (unsigned long long)l->errors,
           (unsigned long long)l->stray);
    printf(", \"memory_first\": %.0f, \"memory\": %.0f", l->at_first.memory,
           now.memory);
    if (l->bodies > 0)
        printf(", \"bodies\": %llu", (unsigned long long)l->bodies);
    if (l->round > 0)
        printf(", \"observers\": %u, \"rounds\": %llu, \"unheard\": %llu, "
               "\"twice\": %llu, \"longest_gap_ms\": %.1f, "
               "\"memory_registered\": %.0f",
               l->observers, (unsigned long long)l->rounds,
               (unsigned long long)l->unheard, (unsigned long long)l->twice,
               (double)l->longest_gap / 1e6, l->at_registered.memory);
    puts("}");
}

#include "secure/wiping.h"
#include "base/mem.h"

#include <jansson.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

void cp_wiping_lock(void)
{
    pthread_mutex_lock(&one_at_a_time);
}

void cp_wiping_unlock(void)
{
    pthread_mutex_unlock(&one_at_a_time);
}

void cp_wiping_free(void *p)
{
    if (p != NULL)
        cp_wipe(p, malloc_usable_size(p));
    free(p);
}

static void exchange(json_free_t now, json_free_t then)
{
    json_malloc_t take;
    json_free_t give_back;

    json_get_alloc_funcs(&take, &give_back);
    if (take == malloc && give_back == now)
        json_set_alloc_funcs(malloc, then);
}

void cp_wiping_jansson(void)
{
    cp_wiping_lock();
    exchange(free, cp_wiping_free);
}

void cp_wiping_jansson_over(void)
{
    exchange(cp_wiping_free, free);
    cp_wiping_unlock();
}

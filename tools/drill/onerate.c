/* A sound card that knows a single rate, for one program: LD_PRELOAD this. Where the folder
 * $DRILL_RATES holds a file with a card's name, that card does nothing but the rate in the file.
 *
 * A sound server takes any rate and converts. Here each configuration of the card is limited as
 * its driver would limit it, so that ALSA itself refuses other rates.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

typedef int any_call(void *pcm, void *params);
typedef int limit_call(void *pcm, void *params, unsigned *min, int *, unsigned *max, int *);
typedef const char *name_call(void *pcm);

int snd_pcm_hw_params_any(void *pcm, void *params) {
    void *alsa = dlopen("libasound.so.2", RTLD_LAZY); /* RTLD_NEXT sees no plugin's libraries */
    any_call *any = (any_call *)dlsym(alsa, "snd_pcm_hw_params_any");
    limit_call *limit = (limit_call *)dlsym(alsa, "snd_pcm_hw_params_set_rate_minmax");
    name_call *name = (name_call *)dlsym(alsa, "snd_pcm_name");
    const char *folder = getenv("DRILL_RATES"), *card = name(pcm);
    int exact = 0, done = any(pcm, params);
    unsigned rate_hz = 0;
    char path[4096];
    if (done < 0 || !folder || !card) return done;
    snprintf(path, sizeof path, "%s/%s", folder, card);
    FILE *file = fopen(path, "r");
    if (!file) return done;
    if (fscanf(file, "%u", &rate_hz) == 1)
        done = limit(pcm, params, &rate_hz, &exact, &rate_hz, &exact);
    fclose(file);
    return done;
}

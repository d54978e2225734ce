{# P(silent N): what is learned from the past, and in which steps. docs/definitions.md says it in words. #}

{# Customers are looked at on every 30th day, the same days for ever: 30 is no multiple of 7, so that weekdays take turns,
   and three such blocks are the 90 days over which frequency is counted. #}
{% macro block_days() %}30{% endmacro %}

{# The reference day that ends the block of a day: the day itself or one of the 29 after it. 900000 keeps mod positive. #}
{% macro reference_day(date) -%}
    {%- set days = neopulse.days_between("cast('2000-01-01' as date)", date) -%}
    {{ neopulse.add_days(date, (block_days() | int - 1) ~ ' - mod(' ~ days ~ ' + 900000, ' ~ block_days() ~ ')') }}
{%- endmacro %}

{# A table learns from a year of reference days, so that each season weighs once ... #}
{% macro learning_days() %}360{% endmacro %}
{# ... and is back-tested on each of those of the last year. #}
{% macro back_tested_days() %}360{% endmacro %}

{# A reference day more than this many days before as_of is of no use to the oldest back-test. #}
{% macro oldest_reference_day() %}{{ return(2 * neopulse.inactivity_days() | int + learning_days() | int + back_tested_days() | int) }}{% endmacro %}

{# How far before a reference day a customer's state on it is read. #}
{% macro days_looked_back() %}{{ return([neopulse.inactivity_days() | int, 90] | max) }}{% endmacro %}

{# How many observations the estimate of the coarser cell above counts for in a finer one. #}
{% macro prior_weight() %}20{% endmacro %}

{# First value of each band; the last is open. #}
{% macro silence_bounds() %}{{ return([0, 1, 2, 4, 7, 14, 21, 28, 42, 60, 90, 180, 365]) }}{% endmacro %}
{% macro frequency_bounds() %}{{ return([0, 1, 2, 4, 8, 15, 29]) }}{% endmacro %}
{% macro tenure_bounds() %}{{ return([0, 7, 28, 90, 180]) }}{% endmacro %}

{# What the last run observed and this one leaves as it is: up to which reference day, and whether a later one is over by now.
   Nothing, where N is another one or as_of has gone back. #}
{% macro kept_observations() %}
    {%- set publication, changed_from = ref('dim_publication'), neopulse.changed_from() -%}
    {%- if not (execute and neopulse.builds_on_the_last_run() and is_incremental()) -%}
        {{ return({'up_to': neopulse.beginning(), 'is_all': false}) }}
    {%- endif -%}
    {%- set kept %}
        select
            coalesce(max(observations.reference_day), {{ neopulse.beginning() }}) as up_to,
            max({{ neopulse.add_days('observations.reference_day', neopulse.block_days() | int + neopulse.inactivity_days() | int) }})
                > max(publication.as_of) as is_all,
        from {{ this }} as observations
        cross join {{ publication }} as publication
        where observations.inactivity_days = {{ neopulse.inactivity_days() }}
            and {{ neopulse.add_days('observations.reference_day', neopulse.inactivity_days()) }} < {{ changed_from }}
            and publication.as_of >= cast('{{ var("previous_as_of") }}' as date)
    {%- endset -%}
    {%- set found = run_query(kept).rows[0] -%}
    {{ return({'up_to': "cast('" ~ found[0] ~ "' as date)", 'is_all': found[1] is true}) }}
{% endmacro %}

{# Before the new observations are added: all others go, and those that are too old for the oldest back-test. #}
{% macro forget_observations() %}
    {{ neopulse.forget(
        'inactivity_days <> ' ~ neopulse.inactivity_days()
        ~ ' or reference_day > ' ~ neopulse.kept_observations().up_to
        ~ ' or ' ~ neopulse.add_days('reference_day', neopulse.oldest_reference_day())
        ~ ' <= (select as_of from ' ~ ref('dim_publication') ~ ')'
    ) }}
{% endmacro %}

{# `2-3`, `1`, `180+`: digits alone, the same in every language. #}
{% macro band_name(bounds, place) -%}
    {%- if place + 1 == bounds | length -%} {{ bounds[place] }}+
    {%- elif bounds[place + 1] == bounds[place] + 1 -%} {{ bounds[place] }}
    {%- else -%} {{ bounds[place] }}-{{ bounds[place + 1] - 1 }}
    {%- endif -%}
{%- endmacro %}

{% macro band(value, bounds) -%}
    case
        {%- for bound in bounds[1:] %}
        when {{ value }} < {{ bound }} then '{{ neopulse.band_name(bounds, loop.index0) }}'
        {%- endfor %}
        else '{{ neopulse.band_name(bounds, bounds | length - 1) }}'
    end
{%- endmacro %}

{# One row a band, with its place from the lowest. #}
{% macro bands(column, bounds) -%}
    {%- for _ in bounds %}
    {{ 'union all ' if not loop.first }}select '{{ neopulse.band_name(bounds, loop.index0) }}' as {{ column }}, {{ loop.index0 }} as place
    {%- endfor %}
{%- endmacro %}

{# A cell's share, drawn towards the estimate above it as if `weight` of its observations were those of that estimate. #}
{% macro drawn_towards(successes, n, above, weight) -%}
    (cast(coalesce({{ successes }}, 0) as {{ neopulse.float_type() }}) + {{ weight }} * {{ above }}) / (coalesce({{ n }}, 0) + {{ weight }})
{%- endmacro %}

{# From the coarsest estimate to the finest, with what each looks at. #}
{% macro silence_levels() %}
    {{ return([
        ('everybody', []),
        ('silence', ['silence_band']),
        ('frequency', ['silence_band', 'frequency_band']),
        ('tenure', ['silence_band', 'frequency_band', 'tenure_band']),
    ]) }}
{% endmacro %}

{# From this probability on a customer is on the list of early warnings. #}
{% macro likely() %}0.5{% endmacro %}

{# Whether a customer is left alone, so that the others can be compared with somebody: by a digest of the identifier, so by chance, and
   for ever the same. Its first four digits in hexadecimal are one of 65,536 numbers, each as likely; texts of digits and letters
   in lower case are in the order of these numbers on every engine. #}
{% macro is_held_out(user_id) -%}
    substr({{ dbt.hash(user_id) }}, 1, 4) < '{{ '%04x' % (65536 * (var('held_out_percent') | int) // 100) }}'
{%- endmacro %}

{# One silence of N days is seen from every reference day in it; intervals count it once. #}
{% macro times_observed_at_once() -%}
    {{ [1.0, (neopulse.inactivity_days() | int) / (block_days() | int)] | max }}
{%- endmacro %}

{# What a table of the back-test says of customers who were judged on a day: how many were expected silent, and how many came to be. #}
{% macro expected_and_come() -%}
    cast(customers as {{ dbt.type_bigint() }}) as customers,
        expected_silent_customers,
        cast(silent_customers as {{ dbt.type_bigint() }}) as silent_customers,
        {{ neopulse.share('expected_silent_customers', 'customers') }} as expected_share,
        {{ neopulse.share('silent_customers', 'customers') }} as observed_share,
        {{ neopulse.wilson_low('silent_customers', 'customers') }} as observed_share_low,
        {{ neopulse.wilson_high('silent_customers', 'customers') }} as observed_share_high,
        {{ neopulse.add_days('judged_on', neopulse.inactivity_days()) }} as final_on,
        false as is_provisional,
{%- endmacro %}

{# The bin of the reliability table: 0 for probabilities below 0.1, 9 for those from 0.9. #}
{% macro tenth(probability) %}cast(floor({{ probability }} * 10) as {{ dbt.type_int() }}){% endmacro %}

{# Which month or week of a cohort a period is, counted from 0, by the column `grain` of the row. #}
{% macro period_of_cohort(cohort, period_start) -%}
    cast(
        case
            when grain = 'month' then {{ neopulse.months_between(cohort, period_start) }}
            else {{ neopulse.weeks_between(cohort, period_start) }}
        end as {{ dbt.type_int() }}
    )
{%- endmacro %}

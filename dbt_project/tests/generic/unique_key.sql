{# The columns together name one row; null counts as a value of its own. With `from_day`, `from_month` or `from_period`, the column of a day, of
   a month's first day or of that of a month or week, only what this run computed is looked at: since the first day that changed, or `of_cube`
   since that from which what is counted by segment was counted again. #}
{% test unique_key(model, columns, from_day=none, from_month=none, from_period=none, of_cube=false) %}
select {{ columns | join(', ') }}, count(*) as rows_with_this_key
from {{ model }}
{%- if from_day or from_month or from_period %}
    {%- set changed = neopulse.cubes_changed_from() if of_cube else neopulse.changed_from() %}
    {%- if from_day %}
where {{ from_day }} >= {{ changed }}
    {%- elif from_month %}
where {{ from_month }} >= {{ neopulse.month_start(changed) }}
    {%- else %}
where {{ from_period }} >= least({{ neopulse.month_start(changed) }}, {{ neopulse.week_start(changed) }})
    {%- endif %}
{%- endif %}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

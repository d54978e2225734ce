{# The columns together name one row; null counts as a value of its own. With `from_day` or `from_month`, the column of a day or of a month's
   first day, only what this run computed is looked at. #}
{% test unique_key(model, columns, from_day=none, from_month=none) %}
select {{ columns | join(', ') }}, count(*) as rows_with_this_key
from {{ model }}
{%- if from_day %}
where {{ from_day }} >= {{ neopulse.changed_from() }}
{%- elif from_month %}
where {{ from_month }} >= {{ neopulse.month_start(neopulse.changed_from()) }}
{%- endif %}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}

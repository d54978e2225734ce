{# Between 0 and 1, both excluded, wherever there is one, and inside its own interval. #}
{% test probability_is_never_certain(model, column) %}
select *
from {{ model }}
where {{ column }} <= 0
    or {{ column }} >= 1
    or {{ column }} < {{ column }}_low
    or {{ column }} > {{ column }}_high
{% endtest %}

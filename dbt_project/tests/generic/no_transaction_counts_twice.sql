{# An identifier names one transaction; after an increment only identifiers of the parts that it read are looked at. #}
{% test no_transaction_counts_twice(model) %}
select transaction_key, transaction_id_text, count(*) as transactions
from {{ model }}
{%- if neopulse.builds_on_the_last_run() %}
where transaction_key in (
    select transaction_key
    from {{ ref('typed_transactions') }}
    where source_part in (select source_part from {{ source('bank', 'changed_parts') }})
)
{%- endif %}
group by transaction_key, transaction_id_text
having count(*) > 1
{% endtest %}
